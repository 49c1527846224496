# How LibTorch becomes the target `torch`: for the build and, installed beside
# muonlabConfig.cmake, for projects that use the package.

# The TorchConfig of a CUDA build stops where it finds no complete CUDA toolkit,
# though our code needs none: then the libraries are declared here, and by
# default only those of the CPU, which start faster.
option(MUONLAB_CUDA "With a CUDA build of LibTorch: use its CUDA part too" OFF)

function(muonlab_declare_torch FOLDER)
  set(library libtorch_cpu.so)
  if(MUONLAB_CUDA)
    set(library libtorch.so)
  endif()
  message(STATUS "LibTorch is a CUDA build: using ${library}")
  add_library(torch INTERFACE IMPORTED GLOBAL)
  target_include_directories(torch SYSTEM INTERFACE
    ${FOLDER}/include ${FOLDER}/include/torch/csrc/api/include)
  target_compile_features(torch INTERFACE cxx_std_20)
  target_compile_definitions(torch INTERFACE USE_DISTRIBUTED USE_C10D_GLOO)
  # Nothing calls libtorch.so by name: it would be dropped as not needed.
  target_link_libraries(torch INTERFACE -Wl,--push-state,--no-as-needed
    ${FOLDER}/lib/${library} -Wl,--pop-state
    ${FOLDER}/lib/libtorch_cpu.so ${FOLDER}/lib/libc10.so)
endfunction()

# Sets Torch_FOUND; looks where find_package does, then in MUONLAB_TORCH_PATH.
macro(muonlab_find_torch)
  # Torch warns that it has no kineto, which only TORCH_LIBRARIES would use.
  set(kineto_LIBRARY unused)
  find_package(Torch 2.11 QUIET HINTS ${MUONLAB_TORCH_PATH})
endmacro()
