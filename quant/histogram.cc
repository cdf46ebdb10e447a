// bin(x) = min(floor(|x| / width), bins - 1), width = max_abs / bins
#include "fxq/quant/histogram.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <mutex>

#include "fxq/base/vectorize.h"

namespace fxq {
namespace {

constexpr int64_t kChunk = 1 << 16;
constexpr size_t kCopies = 4;  // neighbours often hit one bin: their counts do not wait for another

FXQ_VECTORIZE void find_bins(const float* x, size_t count, float inverse, float last,
                             int32_t* bins) {
  for (size_t i = 0; i < count; ++i) {
    const float at = std::abs(x[i]) * inverse;
    bins[i] = static_cast<int32_t>(at > last ? last : at);
  }
}

// Counts `kCopies` times interleaved, then adds them to `total`.
void count(absl::Span<const float> values, float inverse, std::vector<int64_t>& total,
           std::mutex& mutex) {
  const size_t size = total.size();
  const auto last = static_cast<float>(size - 1);
  std::vector<uint32_t> counts(kCopies * size);
  std::array<int32_t, 2048> bins;
  for (size_t start = 0; start < values.size(); start += bins.size()) {
    const size_t n = std::min(bins.size(), values.size() - start);
    find_bins(values.data() + start, n, inverse, last, bins.data());
    for (size_t i = 0; i < n; ++i) {
      ++counts[(i % kCopies) * size + static_cast<size_t>(bins[i])];
    }
  }
  const std::lock_guard<std::mutex> lock(mutex);
  for (size_t i = 0; i < counts.size(); ++i) total[i % size] += counts[i];
}

}  // namespace

Histogram::Histogram(absl::Span<const float> values, float max_abs, int bins)
    : counts_(static_cast<size_t>(bins)), max_abs_(max_abs) {
  const float inverse = static_cast<float>(bins) / max_abs;
  if (!std::isfinite(inverse)) {  // all (nearly) zero
    counts_[0] = static_cast<int64_t>(values.size());
    return;
  }
  std::mutex mutex;
  at::parallel_for(0, static_cast<int64_t>(values.size()), kChunk, [&](int64_t begin, int64_t end) {
    count(values.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)), inverse,
          counts_, mutex);
  });
}

}  // namespace fxq
