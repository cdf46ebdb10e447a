// Unsqueeze, Squeeze, Split, ReduceSum: opset 13 takes axes and sizes as inputs, before as
// attributes.
#include "fxq/export/opset_forms.h"

#include <limits>

namespace fxq {
namespace {

constexpr int kAxesAreInputs = 13;

std::string with_axes(OnnxBuilder& builder, std::string op_type, const std::string& x,
                      std::vector<int64_t> axes) {
  if (builder.opset() < kAxesAreInputs) {
    return builder.add(std::move(op_type), {x}, {{"axes", std::move(axes)}});
  }
  const std::string input = builder.ints(axes);
  return builder.add(std::move(op_type), {x, input});
}

}  // namespace

std::string add_unsqueeze(OnnxBuilder& builder, const std::string& x, std::vector<int64_t> axes) {
  return with_axes(builder, "Unsqueeze", x, std::move(axes));
}

std::string add_squeeze(OnnxBuilder& builder, const std::string& x, std::vector<int64_t> axes) {
  return with_axes(builder, "Squeeze", x, std::move(axes));
}

std::string add_clip(OnnxBuilder& builder, const std::string& x, DType dtype, double low,
                     double high) {
  const double infinity = std::numeric_limits<double>::infinity();
  const std::string min = low == -infinity ? "" : builder.scalar(dtype, low);
  const std::string max = high == infinity ? "" : builder.scalar(dtype, high);
  return builder.add("Clip", {x, min, max});
}

std::string add_cast(OnnxBuilder& builder, const std::string& x, DType to) {
  return builder.add("Cast", {x}, {{"to", static_cast<int64_t>(onnx_element_type(to))}});
}

std::string add_reduce(OnnxBuilder& builder, const std::string& x, const Reduction& reduction) {
  OnnxAttributes attributes{{"keepdims", static_cast<int64_t>(reduction.keepdims)}};
  std::vector<std::string> inputs{x};
  if (!reduction.axes.empty()) {
    if (reduction.op_type == "ReduceSum" && builder.opset() >= kAxesAreInputs) {
      inputs.push_back(builder.ints(reduction.axes));
    } else {
      attributes.emplace_back("axes", reduction.axes);
    }
  }
  return builder.add(reduction.op_type, std::move(inputs), std::move(attributes));
}

std::vector<std::string> add_split(OnnxBuilder& builder, const std::string& x,
                                   const std::vector<int64_t>& sizes, int64_t axis) {
  OnnxCall call{"Split", {x}, {{"axis", axis}}, ""};
  if (builder.opset() >= kAxesAreInputs) {
    call.inputs.push_back(builder.ints(sizes));
  } else {
    call.attributes.emplace_back("split", sizes);
  }
  return builder.add_many(std::move(call), sizes.size());
}

std::string add_reshape(OnnxBuilder& builder, const std::string& x,
                        const std::vector<int64_t>& shape) {
  const std::string sizes = builder.ints(shape);
  return builder.add("Reshape", {x, sizes});
}

std::string add_slice(OnnxBuilder& builder, const std::string& x, int64_t axis, int64_t start,
                      int64_t end) {
  const std::string from = builder.ints({start});
  const std::string to = builder.ints({end});
  const std::string along = builder.ints({axis});
  return builder.add("Slice", {x, from, to, along});
}

std::string add_scaled(OnnxBuilder& builder, const std::string& x, double factor) {
  if (factor == 1.0) return x;
  const std::string constant = builder.scalar(DType::kF32, factor);
  return builder.add("Mul", {x, constant});
}

}  // namespace fxq
