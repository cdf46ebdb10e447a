// weight: i8 * s_w[c]     bias: i32 * (float)(s_in * s_w[c]), zero point 0
// DequantizeLinear has scales per channel from opset 13 on; below, Cast and Mul say the same.
//
// The reference multiplies its sums by m = (float)(s_in * s_w / s_out), computed in double.
// Runtimes that fuse the model compute it from the file's scales, each operation in float32, and
// often land beside m; values next to a tie then round the other way. The file's s_w is a
// neighbour (at most kNeighbours floats away) from which float32 arithmetic arrives at m, if one
// does.
#include "fxq/export/integer_weights_form.h"

#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "fxq/base/status.h"
#include "fxq/export/exporter.h"
#include "fxq/export/opset_forms.h"
#include "fxq/graph/op_module.h"

namespace fxq {
namespace {

// Scales of the bias: a grouped transposed weight repeats its channels for each group.
at::Tensor bias_scale(const OpView& view, const at::Tensor& weight_scale, int64_t channels) {
  const double input_scale = view.operand(0)->type.qparams->scale;
  at::Tensor scale = weight_scale.flatten().to(at::kDouble) * input_scale;
  if (scale.numel() > 1 && scale.numel() < channels) scale = scale.repeat(channels / scale.numel());
  return scale.to(at::kFloat);
}

float neighbour_for(float weight_scale, float input_scale, float output_scale) {
  constexpr int kNeighbours = 4;
  const auto wanted = static_cast<float>(static_cast<double>(input_scale) * weight_scale /
                                         static_cast<double>(output_scale));
  const auto arrives = [&](float scale) { return input_scale * scale / output_scale == wanted; };
  float above = weight_scale, below = weight_scale;
  for (int i = 0; i <= kNeighbours; ++i) {
    if (arrives(above)) return above;
    if (arrives(below)) return below;
    above = std::nextafter(above, std::numeric_limits<float>::infinity());
    below = std::nextafter(below, 0.0F);
  }
  return weight_scale;
}

// A fused add keeps runtimes in float, where there is no multiplier; in profile kOrt its multiplier
// is none of the reference's.
at::Tensor file_scale(const OpView& view) {
  const at::Tensor scale = view.param("weight_scale").flatten();
  const Node& node = *view.node();
  if (!node.type.qparams || !view.operand(0)->type.qparams || node.epilogue_add()) return scale;
  const at::Tensor matched = scale.detach().to(at::kFloat).contiguous().clone();
  float* const values = matched.data_ptr<float>();
  for (int64_t c = 0; c < matched.numel(); ++c) {
    values[c] =
        neighbour_for(values[c], view.operand(0)->type.qparams->scale, node.type.qparams->scale);
  }
  return matched;
}

constexpr int kChannelScalesOpset = 13;

// float(integers) * scale, the scale along the axis: a form that every opset has.
absl::StatusOr<std::string> cast_and_scale(Exporter& exporter, const IntegerTensor& tensor,
                                           const std::string& values) {
  std::vector<int64_t> shape(static_cast<size_t>(tensor.integers.dim()), 1);
  shape[static_cast<size_t>(tensor.axis)] = tensor.scale.numel();
  FXQ_ASSIGN_OR_RETURN(const std::string scales,
                       exporter.derived(tensor.path + "_scale", tensor.scale.reshape(shape)));
  const std::string floats = add_cast(exporter.builder(), values, DType::kF32);
  return exporter.builder().add("Mul", {floats, scales});
}

}  // namespace

bool has_integer_weights(const GraphModule& gm, const Node& node) {
  const OpModule* module = gm.op_module(node);
  return module && is_weighted(node.op()) && module->tensor("weight_scale").defined();
}

IntegerTensor integer_param(const OpView& view, std::string_view name) {
  const at::Tensor integers = view.param(name);
  const bool is_bias = name == view.def().bias;
  at::Tensor scale = file_scale(view);
  if (is_bias) scale = bias_scale(view, scale, integers.numel());
  const int64_t axis = is_bias ? 0 : view.def().channel_axis;
  return {fmt::format("{}.{}", view.node()->target(), name), integers, scale, axis, !is_bias};
}

absl::StatusOr<std::string> integer_weights_form(Exporter& exporter, const OpView& view,
                                                 std::string_view name) {
  if (name == view.def().bias && !view.operand(0)->type.qparams) {
    return absl::InternalError("its bias is integer but its input is not");
  }
  return dequantized(exporter, integer_param(view, name));
}

absl::StatusOr<std::string> dequantized(Exporter& exporter, const IntegerTensor& tensor) {
  const at::ScalarType dtype = tensor.integers.scalar_type();
  FXQ_ASSIGN_OR_RETURN(const std::string domain,
                       exporter.quantize_domain(dtype == at::kShort ? DType::kI16 : DType::kI8));
  FXQ_ASSIGN_OR_RETURN(const std::string values,
                       exporter.initializer(tensor.path, tensor.integers));
  OnnxCall call{"DequantizeLinear", {values}, {}, domain};
  const bool per_channel = tensor.scale.numel() > 1;
  if (per_channel && exporter.opset() < kChannelScalesOpset && domain.empty()) {
    return cast_and_scale(exporter, tensor, values);
  }
  const at::Tensor scale = per_channel ? tensor.scale.flatten() : tensor.scale.reshape({});
  if (per_channel) call.attributes.emplace_back("axis", tensor.axis);
  FXQ_ASSIGN_OR_RETURN(const std::string scales, exporter.derived(tensor.path + "_scale", scale));
  call.inputs.push_back(scales);
  if (tensor.has_zero_point) {
    FXQ_ASSIGN_OR_RETURN(
        const std::string zero_point,
        exporter.derived(tensor.path + "_zero_point", at::zeros_like(scale, dtype)));
    call.inputs.push_back(zero_point);
  }
  return exporter.builder().add_many(std::move(call), 1)[0];
}

}  // namespace fxq
