# What the rest needs besides runtime_dependencies.cmake.
find_package(Protobuf REQUIRED)  # before ONNX, which needs its targets
find_package(ONNX REQUIRED)
pkg_check_modules(GVC REQUIRED IMPORTED_TARGET libgvc)
add_library(graphviz ALIAS PkgConfig::GVC)

# LibTorch as one imported target, "fxq_torch": headers as system headers, CPU libraries only.
include(${CMAKE_CURRENT_LIST_DIR}/torch.cmake)

# Optional: training on several processes.
find_path(GLOO_INCLUDE gloo/context.h)
find_library(GLOO_LIBRARY gloo)
if(GLOO_INCLUDE AND GLOO_LIBRARY AND NOT FXQ_TORCH_ROOT)
  set(GLOO_FOUND TRUE)
  add_library(gloo UNKNOWN IMPORTED)
  set_target_properties(gloo PROPERTIES IMPORTED_LOCATION ${GLOO_LIBRARY})
endif()
