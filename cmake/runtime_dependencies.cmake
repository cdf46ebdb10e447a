# What the layers without LibTorch need. Everything comes from Debian 12 by apt; ./dev setup installs it.
# System headers raise no warnings.
find_package(Threads REQUIRED)
find_package(absl REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
# Debian's dnnl-config.cmake insists on OpenCL, which the CPU engine does not need.
find_library(FXQ_DNNL dnnl REQUIRED)
add_library(DNNL::dnnl UNKNOWN IMPORTED)
# gomp is oneDNN's own thread library: the runtime tells it to use one thread.
set_target_properties(DNNL::dnnl PROPERTIES IMPORTED_LOCATION ${FXQ_DNNL} INTERFACE_LINK_LIBRARIES gomp)
find_package(JPEG REQUIRED)
find_package(PNG REQUIRED)
find_package(ZLIB REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
add_library(xxhash ALIAS PkgConfig::XXHASH)
