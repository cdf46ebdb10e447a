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

// The weights of a channel whose batch norm trains: y[i] = fq(w[i] * factor) / factor, and w[i]
// where factor is 0.
void folded_row(absl::Span<const float> w, float factor, const FakeQuantRow& to,
                absl::Span<float> y);
// gw[i] = g[i] where w[i] * factor is not clamped, else 0. Returns the gradient of the factor:
// sum of g[i] * (w[i] where not clamped - y[i]) / factor; 0 where factor is 0.
double folded_gradient_row(absl::Span<const float> w, absl::Span<const float> g, float factor,
                           const FakeQuantRow& to, absl::Span<float> gw);

}  // namespace fxq
