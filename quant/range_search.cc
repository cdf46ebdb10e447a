// percentile: a running sum      kl: sum P log(P / Q)
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "fxq/quant/histogram.h"

namespace fxq {

float percentile_clip(const Histogram& histogram, double percent) {
  const std::vector<int64_t>& counts = histogram.counts();
  int64_t total = 0;
  for (int64_t count : counts) total += count;
  const double wanted = static_cast<double>(total) * percent / 100.0;
  int64_t seen = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    seen += counts[i];
    if (static_cast<double>(seen) >= wanted) {
      return std::min(histogram.max_abs(), static_cast<float>(i + 1) * histogram.bin_width());
    }
  }
  return histogram.max_abs();
}

namespace {

// Running sums over the bins: what the divergence of every clip is made of.
struct RunningSums {
  explicit RunningSums(const std::vector<int64_t>& counts)
      : count(counts.size() + 1), used(counts.size() + 1), entropy(counts.size() + 1) {
    for (size_t i = 0; i < counts.size(); ++i) {
      count[i + 1] = count[i] + counts[i];
      used[i + 1] = used[i] + (counts[i] > 0);
      entropy[i + 1] = entropy[i] + x_log_x(static_cast<double>(counts[i]));
    }
  }
  static double x_log_x(double x) { return x > 0 ? x * std::log(x) : 0; }

  std::vector<int64_t> count, used;
  std::vector<double> entropy;  // sum of count * log(count)
};

// P: the first `bins` bins, what lies beyond them added to the last. Q: the bins without that,
// `levels` groups of them made equal where they are not empty.
double divergence(const RunningSums& sums, size_t bins, size_t levels) {
  const int64_t total = sums.count.back(), inside = sums.count[bins];
  const int64_t last = inside - sums.count[bins - 1], beyond = total - inside;
  if (last == 0 && beyond > 0) return std::numeric_limits<double>::infinity();
  double cross = 0;  // sum of P * log(Q), both unnormalised
  for (size_t k = 0; k < levels; ++k) {
    const size_t begin = k * bins / levels, end = (k + 1) * bins / levels;
    int64_t mass = sums.count[end] - sums.count[begin];
    if (mass == 0) continue;
    const double each =
        static_cast<double>(mass) / static_cast<double>(sums.used[end] - sums.used[begin]);
    if (end == bins) mass += beyond;
    cross += static_cast<double>(mass) * std::log(each);
  }
  const double entropy =
      sums.entropy[bins - 1] + RunningSums::x_log_x(static_cast<double>(last + beyond));
  const auto n = static_cast<double>(total);
  return (entropy - cross) / n - std::log(n) + std::log(static_cast<double>(inside));
}

}  // namespace

float kl_clip(const Histogram& histogram, QRange range) {
  std::vector<int64_t> counts = histogram.counts();
  const auto levels = static_cast<size_t>(range.max) + 1;
  if (levels >= counts.size()) return histogram.max_abs();
  counts[0] = counts[1];
  const RunningSums sums(counts);
  if (sums.count.back() == 0) return histogram.max_abs();
  size_t best = counts.size();
  double least = divergence(sums, best, levels);
  for (size_t bins = counts.size() - 1; bins >= levels; --bins) {
    const double loss = divergence(sums, bins, levels);
    if (loss >= least) continue;
    least = loss;
    best = bins;
  }
  return std::min(histogram.max_abs(), static_cast<float>(best) * histogram.bin_width());
}

}  // namespace fxq
