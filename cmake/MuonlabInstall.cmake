# The installed package: find_package(muonlab), then the same target names as
# inside the tree. Every layer has added itself to muonlabTargets.
include(CMakePackageConfigHelpers)

set(muonlab_package ${CMAKE_INSTALL_LIBDIR}/cmake/muonlab)
configure_package_config_file(cmake/muonlabConfig.cmake.in
  ${PROJECT_BINARY_DIR}/muonlabConfig.cmake
  INSTALL_DESTINATION ${muonlab_package}
  NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(
  ${PROJECT_BINARY_DIR}/muonlabConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES
  ${PROJECT_BINARY_DIR}/muonlabConfig.cmake
  ${PROJECT_BINARY_DIR}/muonlabConfigVersion.cmake
  cmake/MuonlabFindTorch.cmake
  DESTINATION ${muonlab_package})
install(EXPORT muonlabTargets NAMESPACE muonlab::
  DESTINATION ${muonlab_package})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

if(TARGET muonlab)
  # The program finds a LibTorch that is installed beside it, then the one it
  # was built with.
  # CMake leaves out folders inside the source tree, where .venv is.
  if(TORCH_INSTALL_PREFIX)
    set(muonlab_torch_lib ${TORCH_INSTALL_PREFIX}/lib)
  else()
    set(muonlab_torch_lib ${MUONLAB_TORCH_PATH}/lib)
  endif()
  set_target_properties(muonlab PROPERTIES
    INSTALL_RPATH "$ORIGIN;$ORIGIN/../lib;${muonlab_torch_lib}"
    INSTALL_RPATH_USE_LINK_PATH ON)
  install(TARGETS muonlab)
  # What reports draw their figures with; scripts/setup makes it.
  install(FILES build/vega.js DESTINATION ${CMAKE_INSTALL_DATADIR}/muonlab
    OPTIONAL)
  install(FILES scripts/export_figures.py
    DESTINATION ${CMAKE_INSTALL_DATADIR}/muonlab)
endif()
