# cmake --install: the libraries, all headers under include/fxq, and find_package(fxq), which looks
# for the same dependencies as the build does. cpack -G DEB: the same as a Debian package.
include(CMakePackageConfigHelpers)

set(fxq_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/fxq)
set_target_properties(fxq_all PROPERTIES EXPORT_NAME fxq)
install(TARGETS fxq_flags EXPORT fxq_runtime)
install(TARGETS fxq_all EXPORT fxq)
install(EXPORT fxq_runtime NAMESPACE fxq:: FILE fxqRuntimeTargets.cmake DESTINATION ${fxq_cmake_dir})
install(EXPORT fxq NAMESPACE fxq:: FILE fxqTargets.cmake DESTINATION ${fxq_cmake_dir})

foreach(folder base graph tracer passes quant train distributed runtime export data)
  install(DIRECTORY ${CMAKE_SOURCE_DIR}/${folder} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/fxq
          FILES_MATCHING PATTERN "*.h" PATTERN "*.def")
endforeach()

configure_package_config_file(${CMAKE_SOURCE_DIR}/cmake/fxqConfig.cmake.in ${CMAKE_BINARY_DIR}/fxqConfig.cmake
                              INSTALL_DESTINATION ${fxq_cmake_dir})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/fxqConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/fxqConfig.cmake ${CMAKE_BINARY_DIR}/fxqConfigVersion.cmake
              cmake/runtime_dependencies.cmake cmake/dependencies.cmake cmake/torch.cmake
        DESTINATION ${fxq_cmake_dir})

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME fxq)
set(CPACK_PACKAGE_CONTACT "the fxq developers")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "torch.fx and FX-mode quantization for C++")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# Static libraries and headers: who links them needs the same -dev packages.
set(CPACK_DEBIAN_PACKAGE_DEPENDS
    "libdnnl-dev, libabsl-dev, libfmt-dev, nlohmann-json3-dev, libxxhash-dev, libjpeg62-turbo-dev, libpng-dev, zlib1g-dev")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "libtorch-dev, libgloo-dev, libonnx-dev, libprotobuf-dev, libgraphviz-dev")
include(CPack)
