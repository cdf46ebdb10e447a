// The loops of training: fake quantization of a row of values of one scale, and its gradients, in
// one pass each and without the mask tensor that ATen's operators keep. Same values as ATen's
// fake_quantize; they do not depend on how rows are split among threads. No LibTorch.
#pragma once

#include "absl/types/span.h"

namespace fxq {

struct FakeQuantRow {
  float scale, low, high;  // |low|, |high| < 2^21
};

// y[i] = clamp(rint(x[i] * (1 / scale)), low, high) * scale
void fake_quantize_row(absl::Span<const float> x, const FakeQuantRow& to, absl::Span<float> y);
// gx[i] = g[i] where x[i] is not clamped, else 0
void fake_quantize_gradient_row(absl::Span<const float> x, absl::Span<const float> g,
                                const FakeQuantRow& to, absl::Span<float> gx);

// Who moves the scale: an observer, or the optimizer through LSQ's or PACT's parameter.
enum class ScaleRule { kFixed, kLsq, kPact };

// The weights of a channel whose batch norm trains: y[i] = fq(w[i] * factor) / factor, and w[i]
// where factor is 0.
void folded_row(absl::Span<const float> w, float factor, const FakeQuantRow& to,
                absl::Span<float> y);

// Sums over a row, of at most some thousand values: gradients of what all of them share.
struct RowGradients {
  double factor = 0;  // sum of g[i] * (x[i] where it counts - y[i]) / factor
  double scale = 0;   // of LSQ's step or PACT's alpha
};
// Of folded_row, or with factor 1 of fake_quantize_row; the factor is not 0. gx[i] = g[i] where
// x[i] is not clamped, else 0. LSQ, v = x[i] * factor / scale: sum of g[i] * (round(v) - v, and low
// or high where clamped) / factor. PACT, clamped where |x[i] * factor| >= alpha: sum of +-g[i]
// there, / factor.
RowGradients folded_gradient_row(absl::Span<const float> w, absl::Span<const float> g, float factor,
                                 const FakeQuantRow& to, absl::Span<float> gw);
RowGradients lsq_gradient_row(absl::Span<const float> x, absl::Span<const float> g, float factor,
                              const FakeQuantRow& to, absl::Span<float> gx);
RowGradients pact_gradient_row(absl::Span<const float> x, absl::Span<const float> g, float factor,
                               const FakeQuantRow& to, float alpha, absl::Span<float> gx);

}  // namespace fxq
