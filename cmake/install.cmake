# cmake --install: the libraries, all headers under include/fxq, and find_package(fxq), which
# looks for the same dependencies as the build does and gives fxq::fxq and one target per layer.
include(CMakePackageConfigHelpers)

set(fxq_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/fxq)
set_target_properties(fxq_all PROPERTIES EXPORT_NAME fxq)
install(TARGETS fxq_flags fxq_all EXPORT fxq)
install(EXPORT fxq NAMESPACE fxq:: FILE fxqTargets.cmake DESTINATION ${fxq_cmake_dir})

foreach(folder base graph tracer passes quant runtime export data)
  install(DIRECTORY ${CMAKE_SOURCE_DIR}/${folder} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/fxq
          FILES_MATCHING PATTERN "*.h" PATTERN "*.def")
endforeach()

configure_package_config_file(${CMAKE_SOURCE_DIR}/cmake/fxqConfig.cmake.in ${CMAKE_BINARY_DIR}/fxqConfig.cmake
                              INSTALL_DESTINATION ${fxq_cmake_dir})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/fxqConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/fxqConfig.cmake ${CMAKE_BINARY_DIR}/fxqConfigVersion.cmake
              cmake/dependencies.cmake cmake/torch.cmake
        DESTINATION ${fxq_cmake_dir})
