// Gradients of quantization that ATen has no operator for. Pure functions under autograd; the
// formulas are those of the papers named beside them.
#pragma once

#include <ATen/core/TensorBody.h>

#include <optional>

#include "fxq/quant/qdtype.h"

namespace fxq {

// The value `y` with the gradient of `x`: d result / d x = 1 everywhere.
at::Tensor straight_through(const at::Tensor& x, const at::Tensor& y);

// Fake quantization with one scale (f32[1]): values and gradients of ATen's
// fake_quantize_per_tensor_affine, faster.
at::Tensor fake_quantize(const at::Tensor& x, const at::Tensor& scale, QRange range);

// Weights whose batch norm trains: fq(w * factor) / factor, and w where the factor is 0; `factor`
// is f32[C], one for each row (dimension 0) of w, `scale` f32[C] or f32[1]. Gradients to w and to
// factor.
at::Tensor folded_fake_quantize(const at::Tensor& w, const at::Tensor& factor,
                                const at::Tensor& scale, QRange range);

// PACT (arXiv 1805.06085), symmetric: x cut to [-alpha, alpha] and rounded to steps of
// alpha / half_width(range). d y / d x = 1 where |x| < alpha, else 0; d y / d alpha = 1 where
// x >= alpha, -1 where x <= -alpha, else 0. `alpha` is f32[C], one per index of `axis` (or [1]).
at::Tensor pact(const at::Tensor& x, const at::Tensor& alpha, QRange range,
                std::optional<int> axis);

// LSQ's factor for the gradient of a scale (arXiv 1902.08153): 1 / sqrt(N * quant_max), N values
// to a scale.
double lsq_gradient_factor(const at::Tensor& x, QRange range, std::optional<int> axis);

}  // namespace fxq
