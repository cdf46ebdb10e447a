// Fake quantization under autograd, in one pass each way where tensors are plain (f32, on the host,
// without gaps), else through ATen. Pure functions; their results do not depend on the number of
// threads. Formulas of learned scales are those of the papers named beside them.
#pragma once

#include <ATen/core/TensorBody.h>

#include <optional>

#include "fxq/quant/fake_quantize_rows.h"
#include "fxq/quant/qdtype.h"

namespace fxq {

// The value `y` with the gradient of `x`: d result / d x = 1 everywhere.
at::Tensor straight_through(const at::Tensor& x, const at::Tensor& y);

// What decides the steps of a fake quantization: `parameter` is f32[C], one per index of `axis`, or
// f32[1] without one.
//   kFixed  the scale itself, which gets no gradient
//   kLsq    the step (arXiv 1902.08153); its gradient is that of ATen's learnable operators with
//   the
//           paper's factor (lsq_gradient_factor)
//   kPact   alpha (arXiv 1805.06085, symmetric): steps of alpha / half_width(range); d y / d x = 1
//           where |x| < alpha, else 0; d y / d alpha = 1 where x >= alpha, -1 where x <= -alpha
struct ScaleParameter {
  ScaleRule rule = ScaleRule::kFixed;
  at::Tensor parameter;
  std::optional<int> axis;
};

// Values and gradients to x are ATen's fake_quantize operators', but PACT's clip.
at::Tensor fake_quantize(const at::Tensor& x, const ScaleParameter& scale, QRange range);

// Weights whose batch norm trains: fq(w * factor) / factor, and w where the factor is 0; `factor`
// is f32[C], one for each row (dimension 0) of w; the scale has axis 0 or none. Gradients to w, to
// factor, and to the parameter.
at::Tensor folded_fake_quantize(const at::Tensor& w, const at::Tensor& factor,
                                const ScaleParameter& scale, QRange range);

// LSQ's factor for the gradient of a scale: 1 / sqrt(N * quant_max), N values to a scale.
double lsq_gradient_factor(const at::Tensor& x, QRange range, std::optional<int> axis);

}  // namespace fxq
