// Loops run in lanes, so that compilers see vectors without reordering float arithmetic.
#include "fxq/base/row_math.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "fxq/base/vectorize.h"

namespace fxq {
namespace {

constexpr size_t kLanes = 16;

struct AsItIs {
  FXQ_INLINE float operator()(float x) const { return x; }
};
struct Scaled {
  double scale;
  FXQ_INLINE float operator()(float x) const {
    return static_cast<float>(static_cast<double>(x) * scale);
  }
};

template <typename Source, typename T>
FXQ_INLINE void round_values(absl::Span<const float> x, const Source& source, const RoundTo& to,
                             absl::Span<T> q) {
  const size_t n = x.size();
  const float inverse = to.inverse, low = to.low, high = to.high;
  const float* in = x.data();
  T* out = q.data();
  for (size_t i = 0; i < n; ++i) {
    float v = source(in[i]) * inverse;
    v = v < high ? v : high;
    v = v > low ? v : low;
    out[i] = static_cast<T>(static_cast<int32_t>((v + kRintShift) - kRintShift));
  }
}

struct Lanes {
  std::array<float, kLanes> min, max, poison{};  // poison: 0, or NaN once a value was not finite

  explicit Lanes(float first) {
    min.fill(first);
    max.fill(first);
  }
  void add(const float* x) {
    for (size_t i = 0; i < kLanes; ++i) {
      min[i] = x[i] < min[i] ? x[i] : min[i];
      max[i] = x[i] > max[i] ? x[i] : max[i];
      poison[i] += x[i] * 0.0F;
    }
  }
};

}  // namespace

FXQ_VECTORIZE void scale_row(absl::Span<const float> x, double scale, absl::Span<float> y) {
  const size_t n = x.size();
  const float* in = x.data();
  float* out = y.data();
  for (size_t i = 0; i < n; ++i) {
    out[i] = static_cast<float>(static_cast<double>(in[i]) * scale);
  }
}

FXQ_VECTORIZE RowRange range_of_row(absl::Span<const float> x) {
  Lanes lanes(x[0]);
  size_t i = 0;
  for (; i + kLanes <= x.size(); i += kLanes) lanes.add(x.data() + i);
  std::array<float, kLanes> rest;
  rest.fill(x[0]);
  std::copy(x.begin() + static_cast<std::ptrdiff_t>(i), x.end(), rest.begin());
  lanes.add(rest.data());
  float poison = 0;
  for (const float each : lanes.poison) poison += each;
  return {*std::min_element(lanes.min.begin(), lanes.min.end()),
          *std::max_element(lanes.max.begin(), lanes.max.end()), poison == 0};
}

FXQ_VECTORIZE void round_row(absl::Span<const float> x, const RoundTo& to, absl::Span<int8_t> q) {
  round_values(x, AsItIs{}, to, q);
}

FXQ_VECTORIZE void round_row(absl::Span<const float> x, const RoundTo& to, absl::Span<int16_t> q) {
  round_values(x, AsItIs{}, to, q);
}

FXQ_VECTORIZE void round_scaled_row(absl::Span<const float> x, double scale, const RoundTo& to,
                                    absl::Span<int8_t> q) {
  round_values(x, Scaled{scale}, to, q);
}

FXQ_VECTORIZE void round_scaled_row(absl::Span<const float> x, double scale, const RoundTo& to,
                                    absl::Span<int16_t> q) {
  round_values(x, Scaled{scale}, to, q);
}

}  // namespace fxq
