// error(s) = sum (x - s * clamp(rint(x * (1 / s)), quant_min, quant_max))^2
// Chunks of 4096 values are summed in 16 float lanes, then in double, chunk by chunk.
// What is clipped loses sum (|x| - clip)^2, which grows as clips shrink, and the rest n s^2 / 4 at
// most: once error(s) - n s^2 / 4 is above the least error, no lower step has less.
#include "fxq/quant/clip_search.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "fxq/base/row_math.h"
#include "fxq/base/vectorize.h"

namespace fxq {
namespace {

constexpr size_t kChunk = 4096;
constexpr size_t kLanes = 16;
constexpr double kStepsPerOctave = 8;
constexpr double kOctaves = 24;  // below 1, and above
constexpr int kMeasured = 29;    // steps: 3.5 octaves
constexpr int kMore = 8;         // steps, as long as a lower one may lose less

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

// Everything becomes zero: its error is sum x^2.
constexpr Grid kNothing = {1, 0, 0, 0};

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

double clip_at(double step) { return std::exp2(step / kStepsPerOctave - kOctaves); }

namespace {

// Of steps begin..end-1.
std::vector<Grid> grids_of(int begin, int end, QRange range) {
  std::vector<Grid> grids;
  for (int step = begin; step < end; ++step) {
    grids.push_back(make_grid(symmetric_scale(static_cast<float>(clip_at(step)), range), range));
  }
  return grids;
}

// Whether a step below the lowest of these, whose scale is given, may lose less than all of them.
bool may_fall(const std::vector<double>& measured, size_t count, double scale) {
  const bool is_least_scale = scale <= std::numeric_limits<float>::epsilon();
  const double rounding = static_cast<double>(count) * scale * scale / 4;
  const double least = *std::min_element(measured.begin(), measured.end());
  return !is_least_scale && measured.front() - rounding < least;
}

}  // namespace

void add_clip_errors(absl::Span<const float> values, float max_abs, QRange range,
                     absl::Span<double> sums) {
  if (max_abs <= 0) return;
  const double place = (std::log2(static_cast<double>(max_abs)) + kOctaves) * kStepsPerOctave;
  const int top = std::clamp(static_cast<int>(std::ceil(place)), 0, kClipSteps - 1);
  int bottom = std::max(0, top - kMeasured + 1);
  std::vector<Grid> grids = grids_of(bottom, top + 1, range);
  grids.push_back(kNothing);
  std::vector<double> measured = errors(values, grids);
  const double most = *std::max_element(measured.begin(), measured.end());
  measured.pop_back();
  while (bottom > 0 && may_fall(measured, values.size(), grids.front().scale)) {
    const int next = std::max(0, bottom - kMore);
    grids = grids_of(next, bottom, range);
    const std::vector<double> more = errors(values, grids);
    measured.insert(measured.begin(), more.begin(), more.end());
    bottom = next;
  }
  for (int step = 0; step < kClipSteps; ++step) {
    double error = measured[static_cast<size_t>(std::clamp(step, bottom, top) - bottom)];
    if (step > top) error = std::min(most, error * std::exp2(2.0 * (step - top) / kStepsPerOctave));
    if (step < bottom) error = most + (error - most) * clip_at(step) / clip_at(bottom);
    sums[static_cast<size_t>(step)] += error;
  }
}

// Of equal steps the highest: what lies below the range that was measured never wins.
float least_clip(absl::Span<const double> errors, float max_abs) {
  const auto at =
      static_cast<size_t>(errors.rend() - std::min_element(errors.rbegin(), errors.rend()) - 1);
  auto step = static_cast<double>(at);
  if (at > 0 && at + 1 < errors.size()) {
    const double bend = errors[at - 1] - 2 * errors[at] + errors[at + 1];
    if (bend > 0) step += 0.5 * (errors[at - 1] - errors[at + 1]) / bend;
  }
  const bool is_last = at + 1 == errors.size();
  return is_last ? max_abs : std::min(max_abs, static_cast<float>(clip_at(step)));
}

}  // namespace fxq
