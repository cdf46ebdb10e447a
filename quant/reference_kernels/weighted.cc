// conv, conv_transpose, linear:
//   acc = sum of w * x, exact; p = (float)(acc + bias) * multiplier[c]
//   p = fmaf((float)(s_other / s_out), (float)other, p)       with an add
//   p = relu or relu6 of p
//   qint8: sat_u8(rint(p + 128)) - 128; quint8, qint16: sat(rint(p)); without output scale: p
// Doubles hold the sums exactly: they stay far below 2^53.
#include <ATen/ops/convolution.h>
#include <ATen/ops/linear.h>
#include <fmt/format.h>

#include "fxq/quant/reference_kernels/arithmetic.h"

namespace fxq {
namespace {

std::vector<int64_t> spatial(const OpView& view, std::string_view name, size_t count,
                             int64_t standard) {
  std::vector<int64_t> values = view.attr_ints(name, {standard});
  if (values.size() == 1) values.resize(count, values[0]);
  return values;
}

at::Tensor sums(const ReferenceCall& call, bool transposed) {
  const OpView& view = call.view;
  const at::Tensor x = call.operand().to(at::kDouble);
  const at::Tensor weight = view.param("weight").to(at::kDouble);
  const size_t count = static_cast<size_t>(weight.dim()) - 2;
  return at::convolution(x, weight, {}, spatial(view, "stride", count, 1),
                         spatial(view, "padding", count, 0), spatial(view, "dilation", count, 1),
                         transposed, spatial(view, "output_padding", count, 0),
                         view.attr_int("groups", 1));
}

at::Tensor finish(const ReferenceCall& call, const at::Tensor& sums, int64_t channel_axis) {
  std::vector<int64_t> per_channel(static_cast<size_t>(sums.dim()), 1);
  per_channel[static_cast<size_t>(channel_axis)] = -1;
  at::Tensor total = sums.to(at::kLong);
  const at::Tensor bias = call.view.param("bias");
  if (bias.defined()) total = total + bias.to(at::kLong).view(per_channel);
  const DType dtype = call.output_dtype();
  const char* name = dtype == DType::kF32 ? "out_scale" : "multiplier";
  at::Tensor p = total.to(at::kFloat) * call.view.param(name).view(per_channel);
  if (const Node* other = call.node.epilogue_add()) {
    const double other_scale = other->type.qparams->scale;
    p = fma(static_cast<float>(other_scale / call.output_scale()),
            call.epilogue_add().to(at::kFloat), p);
  }
  p = clamp_activation(p, call);
  if (dtype != DType::kI8) return saturate(p, dtype);
  return (saturate(p + 128.0F, DType::kU8).to(at::kShort) - 128).to(at::kChar);
}

std::string weighted_limits(const OpView& view) {
  if (!view.param_sizes("weight")) return "its weight is computed while running";
  if (!view.node()->is(NodeKind::kCallModule)) return "it is no module; run modularize first";
  if (const Node* other = view.node()->epilogue_add()) {
    if (!same_shape(other->type, view.node()->type)) return "its fused add broadcasts";
  }
  const Argument padding = view.attr("padding");
  if (padding.is<std::string>()) return "its padding is a word, not sizes";
  return "";
}

}  // namespace

absl::StatusOr<c10::IValue> reference_Conv(const ReferenceCall& call) {
  return finish(call, sums(call, false), 1);
}

absl::StatusOr<c10::IValue> reference_ConvTranspose(const ReferenceCall& call) {
  return finish(call, sums(call, true), 1);
}

absl::StatusOr<c10::IValue> reference_Linear(const ReferenceCall& call) {
  const at::Tensor sums =
      at::linear(call.operand().to(at::kDouble), call.view.param("weight").to(at::kDouble));
  return finish(call, sums, sums.dim() - 1);
}

std::string limits_Conv(const OpView& view) {
  const auto sizes = view.param_sizes("weight");
  const std::string rank = sizes ? wants_rank(view, static_cast<int>(sizes->size())) : "";
  return rank.empty() ? weighted_limits(view) : rank;
}

std::string limits_ConvTranspose(const OpView& view) { return limits_Conv(view); }

std::string limits_Linear(const OpView& view) { return weighted_limits(view); }

}  // namespace fxq
