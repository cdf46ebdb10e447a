# What the rest needs besides runtime_dependencies.cmake.
find_package(Protobuf REQUIRED)  # before ONNX, which needs its targets
find_package(ONNX REQUIRED)
pkg_check_modules(GVC REQUIRED IMPORTED_TARGET libgvc)
add_library(graphviz ALIAS PkgConfig::GVC)

# LibTorch as one imported target, "fxq_torch": headers as system headers, CPU libraries only.
include(${CMAKE_CURRENT_LIST_DIR}/torch.cmake)
