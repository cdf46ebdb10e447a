// Same first byte, type and strides = the same tensor.
#include "fxq/graph/tied_tensors.h"

#include <ATen/core/Tensor.h>

#include "fxq/graph/ivalue_convert.h"

namespace fxq {

std::string TiedTensors::add(const std::string& path, const at::Tensor& tensor) {
  if (!tensor.defined() || tensor.numel() == 0 || !tensor.has_storage()) return "";
  std::string layout = type_of(tensor).to_string();
  for (const int64_t stride : tensor.strides()) layout += " " + std::to_string(stride);
  const auto [it, is_new] = paths_.emplace(std::make_tuple(tensor.data_ptr(), layout), path);
  return is_new ? "" : it->second;
}

}  // namespace fxq
