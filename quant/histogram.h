// Histogram: how often |x| falls into equal bins of [0, max_abs], as integers, so that the number
// of threads changes nothing. A plain value. The searches for a clipping range that read it give
// the clip in the units of the values.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "fxq/quant/qdtype.h"

namespace fxq {

class Histogram {
 public:
  // Finite values; max_abs is the largest magnitude among them.
  Histogram(absl::Span<const float> values, float max_abs, int bins);

  float max_abs() const { return max_abs_; }
  float bin_width() const { return max_abs_ / static_cast<float>(counts_.size()); }
  const std::vector<int64_t>& counts() const { return counts_; }

 private:
  std::vector<int64_t> counts_;
  float max_abs_;
};

// The smallest bin edge that `percent` of all values do not pass.
float percentile_clip(const Histogram& histogram, double percent);

// NVIDIA's calibrator: the clip whose quantized distribution of |x| has the least Kullback-Leibler
// divergence from the clipped one. Zeros, which every scale represents, weigh as the bin next to
// them. max_abs if there are no more bins than levels.
float kl_clip(const Histogram& histogram, QRange range);

}  // namespace fxq
