// v = x / scale is clamped to a step beyond the range first, so that the shift rounds it exactly.
#include "fxq/quant/fake_quantize_rows.h"

#include <algorithm>
#include <array>

#include "fxq/base/row_math.h"
#include "fxq/base/vectorize.h"

namespace fxq {
namespace {

constexpr size_t kLanes = 16;

FXQ_INLINE float rounded(float v, float low, float high) {
  v = v < high ? v : high;
  v = v > low ? v : low;
  return (v + kRintShift) - kRintShift;
}

struct FoldedWeight {
  float factor, inverse, low, high, back;
};

// Writes the gradient of one weight and returns its part of the factor's.
FXQ_INLINE float folded_gradient(float w, float g, const FoldedWeight& at, float& gw) {
  const float q = rounded(w * at.factor * at.inverse, at.low - 1, at.high + 1);
  const bool inside = q >= at.low && q <= at.high;
  const float clamped = q < at.low ? at.low : (q > at.high ? at.high : q);
  gw = inside ? g : 0.0F;
  return g * ((inside ? w : 0.0F) - clamped * at.back);
}

}  // namespace

FXQ_VECTORIZE void fake_quantize_row(absl::Span<const float> x, const FakeQuantRow& to,
                                     absl::Span<float> y) {
  const float inverse = 1.0F / to.scale, scale = to.scale, low = to.low, high = to.high;
  const float* in = x.data();
  float* out = y.data();
  const size_t n = x.size();
  for (size_t i = 0; i < n; ++i) out[i] = rounded(in[i] * inverse, low, high) * scale;
}

FXQ_VECTORIZE void fake_quantize_gradient_row(absl::Span<const float> x, absl::Span<const float> g,
                                              const FakeQuantRow& to, absl::Span<float> gx) {
  const float inverse = 1.0F / to.scale, low = to.low, high = to.high;
  const float* in = x.data();
  const float* gradient = g.data();
  float* out = gx.data();
  const size_t n = x.size();
  for (size_t i = 0; i < n; ++i) {
    const float q = rounded(in[i] * inverse, low - 1, high + 1);
    const float kept = q < low ? 0.0F : gradient[i];
    out[i] = q > high ? 0.0F : kept;
  }
}

FXQ_VECTORIZE void folded_row(absl::Span<const float> w, float factor, const FakeQuantRow& to,
                              absl::Span<float> y) {
  if (factor == 0) {
    std::copy(w.begin(), w.end(), y.begin());
    return;
  }
  const float inverse = 1.0F / to.scale, low = to.low, high = to.high, back = to.scale / factor;
  const float* in = w.data();
  float* out = y.data();
  const size_t n = w.size();
  for (size_t i = 0; i < n; ++i) out[i] = rounded(in[i] * factor * inverse, low, high) * back;
}

FXQ_VECTORIZE double folded_gradient_row(absl::Span<const float> w, absl::Span<const float> g,
                                         float factor, const FakeQuantRow& to,
                                         absl::Span<float> gw) {
  if (factor == 0) {
    std::copy(g.begin(), g.end(), gw.begin());
    return 0;
  }
  const FoldedWeight at{factor, 1.0F / to.scale, to.low, to.high, to.scale / factor};
  const float* in = w.data();
  const float* gradient = g.data();
  float* out = gw.data();
  const size_t n = w.size();
  std::array<float, kLanes> sums{};
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      sums[lane] += folded_gradient(in[i + lane], gradient[i + lane], at, out[i + lane]);
    }
  }
  double total = 0;
  for (; i < n; ++i) total += folded_gradient(in[i], gradient[i], at, out[i]);
  for (const float sum : sums) total += sum;
  return total / factor;
}

}  // namespace fxq
