# Language level, warnings, sanitizers, ccache, and the link "fxq -> source root" that makes
# #include "fxq/graph/graph.h" mean the same in the tree and when installed.
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_CXX_FLAGS_RELEASE "-O2")

file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/include)
file(CREATE_LINK ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/include/fxq SYMBOLIC)

# Most of a file's time goes into the headers' templates, which six files then share. Names in anonymous
# namespaces have to differ within a folder.
set(CMAKE_UNITY_BUILD ${FXQ_UNITY})
set(CMAKE_UNITY_BUILD_BATCH_SIZE 6)

find_program(FXQ_CCACHE ccache)
if(FXQ_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${FXQ_CCACHE})
endif()

add_library(fxq_flags INTERFACE)
target_compile_features(fxq_flags INTERFACE cxx_std_17)
target_include_directories(fxq_flags INTERFACE
  $<BUILD_INTERFACE:${CMAKE_BINARY_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
# -ffp-contract=off: the order of float operations is part of the definition of every kernel.
# -fPIC everywhere, executables too: they share the precompiled header with the libraries.
set(FXQ_FLAGS -fPIC -Wall -Wextra -Wno-missing-field-initializers $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict -Wno-subobject-linkage> -ffp-contract=off)
if(FXQ_WERROR)
  list(APPEND FXQ_FLAGS -Werror)
endif()
if(FXQ_SANITIZE)
  list(APPEND FXQ_FLAGS -fsanitize=${FXQ_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(fxq_flags INTERFACE -fsanitize=${FXQ_SANITIZE})
endif()
# Ours alone: who links an installed fxq chooses flags for himself.
target_compile_options(fxq_flags INTERFACE "$<BUILD_INTERFACE:${FXQ_FLAGS}>")
