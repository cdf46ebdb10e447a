// Bilinear upsampling in the input's scale, as ATen places and weighs the four neighbours a b / c
// d:
//   src = max((i + 0.5) * step - 0.5, 0), step = extent / outputs, or 1 / factor;
//   corners aligned: src = i * (extent - 1) / (outputs - 1)
//   first = floor(src), second = min(first + 1, extent - 1), w1 = src - first, w0 = 1 - w1
//   y = sat(rint(h0 * (w0 * a + w1 * b) + h1 * (w0 * c + w1 * d))), float32, one rounding each
#include <ATen/ops/arange.h>
#include <ATen/ops/index_select.h>

#include <cmath>

#include "fxq/quant/reference_kernels/arithmetic.h"

namespace fxq {
namespace {

struct Neighbours {
  at::Tensor first, second;  // indices
  at::Tensor w0, w1;
};

Neighbours neighbours(int64_t extent, int64_t outputs, double factor, bool aligned) {
  const at::Tensor i = at::arange(outputs, at::kFloat);
  at::Tensor source;
  if (aligned) {
    const float step =
        outputs > 1 ? static_cast<float>(extent - 1) / static_cast<float>(outputs - 1) : 0.0F;
    source = i * step;
  } else {
    const float step = factor > 0 ? static_cast<float>(1.0 / factor)
                                  : static_cast<float>(extent) / static_cast<float>(outputs);
    source = ((i + 0.5F) * step - 0.5F).clamp_min(0.0F);
  }
  Neighbours result;
  result.first = source.to(at::kLong).clamp_max(extent - 1);
  result.second = (result.first + 1).clamp_max(extent - 1);
  result.w1 = source - result.first.to(at::kFloat);
  result.w0 = 1.0F - result.w1;
  return result;
}

// By sizes, which may be computed while the graph runs, or by factors.
std::vector<int64_t> output_sizes(const ReferenceCall& call, const std::vector<double>& factors) {
  std::vector<int64_t> sizes = call.ints("output_size");
  if (!sizes.empty()) return sizes;
  const at::Tensor x = call.operand();
  for (int64_t axis = 0; axis < 2; ++axis) {
    sizes.push_back(static_cast<int64_t>(
        std::floor(static_cast<double>(x.size(axis + 2)) * factors.at(static_cast<size_t>(axis)))));
  }
  return sizes;
}

std::vector<double> scale_factors(const ReferenceCall& call) {
  std::vector<double> factors;
  const Argument written = call.view.attr("scale_factors");
  if (!written.items()) return factors;
  for (const Argument& factor : *written.items()) {
    if (const auto* real = factor.get_if<double>()) factors.push_back(*real);
  }
  return factors;
}

}  // namespace

absl::StatusOr<c10::IValue> reference_UpsampleBilinear(const ReferenceCall& call) {
  const at::Tensor x = call.operand().to(at::kFloat);
  const std::vector<double> factors = scale_factors(call);
  const std::vector<int64_t> sizes = output_sizes(call, factors);
  const bool aligned = call.view.attr_bool("align_corners");
  const Neighbours rows =
      neighbours(x.size(2), sizes[0], factors.empty() ? 0 : factors[0], aligned);
  const Neighbours columns =
      neighbours(x.size(3), sizes[1], factors.empty() ? 0 : factors[1], aligned);
  const auto across = [&](const at::Tensor& row) {
    return columns.w0 * row.index_select(3, columns.first) +
           columns.w1 * row.index_select(3, columns.second);
  };
  const at::Tensor top = across(x.index_select(2, rows.first));
  const at::Tensor bottom = across(x.index_select(2, rows.second));
  const at::Tensor p = rows.w0.unsqueeze(1) * top + rows.w1.unsqueeze(1) * bottom;
  return saturate(p, call.output_dtype());
}

std::string limits_UpsampleBilinear(const OpView& view) {
  const std::string rank = wants_rank(view, 4);
  return rank.empty() ? no_epilogue(view) : rank;
}

}  // namespace fxq
