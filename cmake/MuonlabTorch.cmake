# LibTorch, and the one precompiled header for everything that includes it:
# torch/torch.h costs some 16 s a file without it, 6 s with it.

# scripts/setup writes there which LibTorch it chose (MUONLAB_TORCH_PATH). A
# CMAKE_PREFIX_PATH or Torch_DIR given by hand goes before it.
include(${PROJECT_SOURCE_DIR}/build/torch.cmake OPTIONAL)

include(MuonlabFindTorch)

if(MUONLAB_TORCH_PATH AND NOT CMAKE_PREFIX_PATH AND NOT Torch_DIR
   AND EXISTS ${MUONLAB_TORCH_PATH}/lib/libtorch_cuda.so)
  muonlab_declare_torch(${MUONLAB_TORCH_PATH})
endif()
if(NOT TARGET torch)
  muonlab_find_torch()
  if(NOT Torch_FOUND)
    message(FATAL_ERROR
      "LibTorch 2.11 or newer was not found (too old: "
      "${Torch_CONSIDERED_CONFIGS} ${Torch_CONSIDERED_VERSIONS}). Run "
      "scripts/setup, which writes the path into build/torch.cmake, or pass "
      "-DCMAKE_PREFIX_PATH=\"$(python3 -c 'import torch; print(torch.utils.cmake_prefix_path)')\"")
  endif()
endif()

if(MUONLAB_PRECOMPILED_HEADER)
  file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/torch_header.cpp
    "// Holds the precompiled header that all LibTorch users share.\n")
  add_library(muonlab_torch_header OBJECT
    ${CMAKE_CURRENT_BINARY_DIR}/torch_header.cpp)
  target_link_libraries(muonlab_torch_header PUBLIC torch)
  target_precompile_headers(muonlab_torch_header PRIVATE <torch/torch.h>)
endif()

function(muonlab_use_torch_header TARGET)
  if(MUONLAB_PRECOMPILED_HEADER)
    target_precompile_headers(${TARGET} REUSE_FROM muonlab_torch_header)
  endif()
endfunction()
