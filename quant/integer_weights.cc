// q = sat(rint(w * (1 / s_w)))       bias_q = round(b / (s_in * s_w)) in double
// multiplier = (float)(s_in * s_w / s_out)
#include "fxq/quant/integer_weights.h"

#include <ATen/ops/maximum.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "fxq/base/status.h"
#include "fxq/graph/float_rows.h"
#include "fxq/graph/scaled_weight.h"
#include "fxq/graph/tensor_slab.h"
#include "fxq/quant/qdtype.h"
#include "fxq/quant/reference_kernels/arithmetic.h"

namespace fxq {
namespace {

constexpr double kLargestBias = 1 << 30;
constexpr double kLargestSum = 2147483647.0;

// One value per output channel. A grouped transposed weight is [in, out / groups, ...]: its channel
// axis repeats for each group.
at::Tensor per_output(const at::Tensor& per_axis, const OpModule& op) {
  const OpDef& def = op_def(op.op());
  const Argument* groups = def.channel_axis == 1 ? op.attribute("groups") : nullptr;
  const auto* count = groups ? groups->get_if<int64_t>() : nullptr;
  const int64_t channels =
      op.tensor_sizes(def.weight)[static_cast<size_t>(def.channel_axis)] * (count ? *count : 1);
  return per_axis.repeat({channels / per_axis.numel()});
}

// The largest per-axis value over the groups.
at::Tensor per_axis_max(const at::Tensor& per_output, int64_t axis_size) {
  return per_output.view({-1, axis_size}).amax({0});
}

std::vector<int64_t> along(const at::Tensor& weight, int64_t axis) {
  std::vector<int64_t> shape(static_cast<size_t>(weight.dim()), 1);
  shape[static_cast<size_t>(axis)] = -1;
  return shape;
}

std::vector<int64_t> indices_where(const at::Tensor& mask) {
  const at::Tensor indices = mask.nonzero().view({-1}).contiguous();
  const int64_t* data = indices.data_ptr<int64_t>();
  return {data, data + indices.numel()};
}

// Weight scales, larger where the bias needs it.
at::Tensor fitted_scales(const IntegerWeightsQuestion& question, const at::Tensor& bias,
                         std::vector<std::string>& notes) {
  const at::Tensor scale = question.weight_fake_quant.scale();
  if (!bias.defined()) return scale;
  const at::Tensor needed =
      per_axis_max(bias.abs(), scale.numel()) / (kLargestBias * question.input.scale);
  const auto widened = indices_where(needed > scale.to(at::kDouble));
  if (widened.empty()) return scale;
  notes.push_back(
      scale.numel() == 1
          ? "the bias is far above the weights: their scale grew so that it fits 32 bits"
          : fmt::format("channels {} have a bias far above their weights: their weight scale grew "
                        "so that it fits 32 bits",
                        fmt::join(widened, ", ")));
  return at::maximum(scale, needed.to(at::kFloat));
}

template <typename T>
void round_rows(const FloatRows& rows, const at::Tensor& inverse, const QRange& range,
                const at::Tensor& q) {
  T* out = q.data_ptr<T>();
  const float* factor = inverse.data_ptr<float>();
  const auto low = static_cast<float>(range.min), high = static_cast<float>(range.max);
  rows.for_each([&](size_t row) {
    rows.round(row, {factor[row], low, high}, {out + row * rows.width(), rows.width()});
  });
}

// From rows whose weight may still wait to be multiplied out.
at::Tensor quantize_rows(const FloatRows& rows, at::IntArrayRef sizes, const at::Tensor& inverse,
                         const FakeQuantize& fake_quant) {
  static TensorSlab slab;
  const bool wide = fake_quant.dtype() == DType::kI16;
  at::Tensor q = slab.empty(sizes, wide ? at::kShort : at::kChar);
  wide ? round_rows<int16_t>(rows, inverse, fake_quant.range(), q)
       : round_rows<int8_t>(rows, inverse, fake_quant.range(), q);
  return q;
}

at::Tensor quantize_weight(const OpModule& op, const at::Tensor& scale,
                           const FakeQuantize& fake_quant) {
  const OpDef& def = op_def(op.op());
  const at::Tensor inverse = 1.0F / scale;
  const std::vector<int64_t> sizes = op.tensor_sizes(def.weight);
  const bool by_row = def.channel_axis == 0 && inverse.numel() == sizes[0];
  const auto waiting = by_row ? op.waiting_weight() : nullptr;
  if (waiting) return quantize_rows(waiting->rows(), sizes, inverse, fake_quant);
  const at::Tensor weight = op.tensor(def.weight).detach();
  const std::optional<FloatRows> rows = FloatRows::of(weight);
  if (rows && by_row) return quantize_rows(*rows, sizes, inverse, fake_quant);
  const QRange range = fake_quant.range();
  const at::Tensor steps = (weight * inverse.view(along(weight, def.channel_axis))).round();
  const auto dtype = fake_quant.dtype() == DType::kI16 ? at::kShort : at::kChar;
  return steps.clamp(range.min, range.max).to(dtype);
}

// Sums of magnitudes over all dimensions but `axis`.
at::Tensor sums_along(const at::Tensor& weight, int64_t axis) {
  std::vector<int64_t> others;
  for (int64_t d = 0; d < weight.dim(); ++d) {
    if (d != axis) others.push_back(d);
  }
  return weight.to(at::kDouble).abs().sum(others);
}

// |sum of w * x| + |bias| over the values that x can have.
absl::Status check_sums(const IntegerWeightsQuestion& question, const at::Tensor& weight,
                        const at::Tensor& bias, int64_t axis) {
  if (question.input_dtype == DType::kI16 || weight.scalar_type() == at::kShort) {
    return absl::OkStatus();  // those sums have 64 bits
  }
  const double largest = question.input_dtype == DType::kU8 ? 255 : 128;
  const int64_t terms = weight.numel() / std::max<int64_t>(1, weight.size(axis));
  if (static_cast<double>(terms) * 128 * largest + kLargestBias <= kLargestSum) {
    return absl::OkStatus();  // whatever the weights are
  }
  at::Tensor bound = sums_along(weight, axis) * largest;
  if (bias.defined()) bound = bound + per_axis_max(bias.abs(), bound.numel());
  const auto over = indices_where(bound > kLargestSum);
  if (over.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("the sums of channels {} can pass 32 bits; keep this layer in float (qconfig "
                  "none) or split it",
                  fmt::join(over, ", ")));
}

}  // namespace

absl::StatusOr<std::shared_ptr<OpModule>> make_integer_module(
    const IntegerWeightsQuestion& question, std::vector<std::string>& notes) {
  const OpModule& op = question.op;
  const OpDef& def = op_def(op.op());
  at::Tensor bias = op.tensor(def.bias);
  if (bias.defined()) bias = bias.detach().to(at::kDouble);
  const at::Tensor weight_scale = fitted_scales(question, bias, notes);
  const at::Tensor q = quantize_weight(op, weight_scale, question.weight_fake_quant);
  const at::Tensor step =
      per_output(weight_scale, op).to(at::kDouble) * static_cast<double>(question.input.scale);
  if (bias.defined()) bias = (bias / step).round();
  FXQ_RETURN_IF_ERROR(check_sums(question, q, bias, def.channel_axis));
  NamedTensors tensors{{std::string(def.weight), q}, {"weight_scale", weight_scale}};
  tensors.emplace_back(std::string(def.bias), bias.defined() ? bias.to(at::kInt) : bias);
  if (question.output) {
    const double out = question.output->scale;
    tensors.emplace_back("multiplier", (step / out).to(at::kFloat));
  } else {
    tensors.emplace_back("out_scale", step.to(at::kFloat));
  }
  auto module = std::make_shared<OpModule>(op.class_name(), op.op(), std::move(tensors),
                                           op.OpModule::attributes());
  module->eval();
  return module;
}

}  // namespace fxq
