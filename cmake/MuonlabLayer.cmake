# muonlab_layer(NAME SOURCES ... HEADERS ... [PUBLIC ...] [PRIVATE ...] [TORCH])
#
# One layer: the static library muonlab_NAME, also known as muonlab::NAME, with
# sources and public headers listed by hand: these are what is installed. TORCH
# links LibTorch and uses the shared precompiled header.
#
# A library of others in PUBLIC or PRIVATE must be found by muonlabConfig.cmake
# too. One of headers alone that no public header includes is given as
# $<BUILD_INTERFACE:...>: who links the installed layer does not need it.
function(muonlab_layer NAME)
  cmake_parse_arguments(ARG "TORCH" "" "SOURCES;HEADERS;PUBLIC;PRIVATE" ${ARGN})
  add_library(muonlab_${NAME} STATIC ${ARG_SOURCES})
  add_library(muonlab::${NAME} ALIAS muonlab_${NAME})
  set_target_properties(muonlab_${NAME} PROPERTIES EXPORT_NAME ${NAME})
  target_sources(muonlab_${NAME} PUBLIC FILE_SET HEADERS
    BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${ARG_HEADERS})
  target_compile_features(muonlab_${NAME} PUBLIC cxx_std_20)
  target_link_libraries(muonlab_${NAME}
    PUBLIC ${ARG_PUBLIC}
    PRIVATE ${ARG_PRIVATE} $<BUILD_INTERFACE:muonlab_warnings>)
  if(ARG_TORCH)
    target_link_libraries(muonlab_${NAME} PUBLIC torch)
    muonlab_use_torch_header(muonlab_${NAME})
  endif()
  if(MUONLAB_INSTALL)
    install(TARGETS muonlab_${NAME} EXPORT muonlabTargets FILE_SET HEADERS)
  endif()
endfunction()
