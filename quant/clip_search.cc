// error(s) = sum (x - s * clamp(rint(x * (1 / s)), quant_min, quant_max))^2
// Chunks of 4096 values are summed in 16 float lanes, then in double, chunk by chunk.
#include "fxq/quant/clip_search.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "fxq/base/row_math.h"
#include "fxq/base/vectorize.h"

namespace fxq {
namespace {

constexpr size_t kChunk = 4096;
constexpr size_t kLanes = 16;

struct Grid {
  float scale, inverse, low, high;
};

FXQ_INLINE float loss(float x, const Grid& grid) {
  float q = x * grid.inverse;
  q = q < grid.low ? grid.low : q;
  q = q > grid.high ? grid.high : q;
  q = (q + kRintShift) - kRintShift;
  const float e = x - q * grid.scale;
  return e * e;
}

FXQ_VECTORIZE double chunk_error(const float* x, size_t count, const Grid& grid) {
  std::array<float, kLanes> lanes{};
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) lanes[lane] += loss(x[i + lane], grid);
  }
  double sum = 0;
  for (float lane : lanes) sum += lane;
  for (; i < count; ++i) sum += loss(x[i], grid);
  return sum;
}

struct Sums {
  double x = 0, square = 0;
};

FXQ_VECTORIZE Sums chunk_sums(const float* x, size_t count) {
  std::array<double, kLanes> first{}, second{};
  for (size_t i = 0; i < count; ++i) {
    const double value = x[i];
    first[i % kLanes] += value;
    second[i % kLanes] += value * value;
  }
  Sums sums;
  for (double lane : first) sums.x += lane;
  for (double lane : second) sums.square += lane;
  return sums;
}

Grid make_grid(float scale, QRange range) {
  return {scale, 1.0F / scale, static_cast<float>(range.min), static_cast<float>(range.max)};
}

// One row of `grids.size()` errors.
std::vector<double> errors(absl::Span<const float> values, const std::vector<Grid>& grids) {
  const size_t chunks = (values.size() + kChunk - 1) / kChunk;
  std::vector<double> partial(chunks * grids.size());
  at::parallel_for(0, static_cast<int64_t>(chunks), 4, [&](int64_t begin, int64_t end) {
    for (size_t chunk = static_cast<size_t>(begin); chunk < static_cast<size_t>(end); ++chunk) {
      const size_t start = chunk * kChunk;
      const size_t count = std::min(kChunk, values.size() - start);
      for (size_t g = 0; g < grids.size(); ++g) {
        partial[chunk * grids.size() + g] = chunk_error(values.data() + start, count, grids[g]);
      }
    }
  });
  std::vector<double> total(grids.size());
  for (size_t i = 0; i < partial.size(); ++i) total[i % grids.size()] += partial[i];
  return total;
}

float best_of(absl::Span<const float> values, const std::vector<float>& clips, QRange range) {
  std::vector<Grid> grids;
  for (float clip : clips) grids.push_back(make_grid(symmetric_scale(clip, range), range));
  const std::vector<double> losses = errors(values, grids);
  return clips[static_cast<size_t>(std::min_element(losses.begin(), losses.end()) -
                                   losses.begin())];
}

}  // namespace

double squared_error(absl::Span<const float> values, float scale, QRange range) {
  return errors(values, {make_grid(scale, range)})[0];
}

Moments moments_of(absl::Span<const float> values) {
  const size_t chunks = (values.size() + kChunk - 1) / kChunk;
  std::vector<Sums> partial(chunks);
  at::parallel_for(0, static_cast<int64_t>(chunks), 4, [&](int64_t begin, int64_t end) {
    for (auto chunk = static_cast<size_t>(begin); chunk < static_cast<size_t>(end); ++chunk) {
      const size_t start = chunk * kChunk;
      partial[chunk] = chunk_sums(values.data() + start, std::min(kChunk, values.size() - start));
    }
  });
  Sums total;
  for (const Sums& sums : partial) {
    total.x += sums.x;
    total.square += sums.square;
  }
  const auto n = static_cast<double>(values.size());
  const double mean = total.x / n;
  return {mean, std::sqrt(std::max(0.0, total.square / n - mean * mean))};
}

float best_clip(absl::Span<const float> values, float max_abs, QRange range) {
  if (max_abs <= 0) return max_abs;
  std::vector<float> clips;
  for (int i = 20; i >= 1; --i) clips.push_back(max_abs * (static_cast<float>(i) * 0.05F));
  clips[0] = max_abs;
  const float coarse = best_of(values, clips, range);
  clips = {coarse};
  for (int step : {4, 3, 2, 1, -1, -2, -3, -4}) {
    const float clip = coarse + max_abs * (static_cast<float>(step) * 0.01F);
    if (clip > 0 && clip <= max_abs) clips.push_back(clip);
  }
  return best_of(values, clips, range);
}

}  // namespace fxq
