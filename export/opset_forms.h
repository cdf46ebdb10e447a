// Operators whose form depends on the opset (axes and sizes moved from attributes to inputs),
// behind one spelling each. Opsets 11 to 17.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "fxq/export/onnx_builder.h"

namespace fxq {

std::string add_unsqueeze(OnnxBuilder& builder, const std::string& x, std::vector<int64_t> axes);
std::string add_squeeze(OnnxBuilder& builder, const std::string& x, std::vector<int64_t> axes);
std::string add_clip(OnnxBuilder& builder, const std::string& x, DType dtype, double low,
                     double high);
std::string add_cast(OnnxBuilder& builder, const std::string& x, DType to);

struct Reduction {
  std::string op_type;  // "ReduceMean", "ReduceSum"
  std::vector<int64_t> axes;
  bool keepdims = true;
};
std::string add_reduce(OnnxBuilder& builder, const std::string& x, const Reduction& reduction);

std::vector<std::string> add_split(OnnxBuilder& builder, const std::string& x,
                                   const std::vector<int64_t>& sizes, int64_t axis);
std::string add_reshape(OnnxBuilder& builder, const std::string& x,
                        const std::vector<int64_t>& shape);
// x[start:end] along `axis`; kEnd: to its end.
inline constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();
std::string add_slice(OnnxBuilder& builder, const std::string& x, int64_t axis, int64_t start,
                      int64_t end);
// x * factor in float32; x itself for 1.
std::string add_scaled(OnnxBuilder& builder, const std::string& x, double factor);

}  // namespace fxq
