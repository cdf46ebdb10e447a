// recent += max(kRecent, 1 / step) * (top-1 of the step - recent): the mean of the first 10 steps,
// then a moving average, which says as much as the mean of 2 / kRecent - 1 steps.
#include "fxq/train/convergence.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace fxq {
namespace {

constexpr double kRecent = 0.1;   // weight of a step
constexpr int64_t kSettled = 16;  // the first steps
constexpr double kErrors = 2;     // standard errors

// Of the moving average, in which a step has so many samples.
ShareInterval recent_interval(const TrainPosition& at, double samples) {
  const double steps = std::min(static_cast<double>(at.total), 2 / kRecent - 1);
  return share_interval(at.recent_top1, steps * samples);
}

}  // namespace

// (p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)
ShareInterval share_interval(double share, double samples) {
  if (samples <= 0) return {};
  const double z = kErrors * kErrors / samples;
  const double center = share + z / 2;
  const double width = std::sqrt(z * share * (1 - share) + z * z / 4);
  return {std::max(0.0, (center - width) / (1 + z)), std::min(1.0, (center + width) / (1 + z))};
}

void follow_top1(TrainPosition& at, int64_t hits, int64_t samples) {
  const auto count = static_cast<double>(std::max<int64_t>(1, samples));
  const double weight = std::max(kRecent, 1 / static_cast<double>(at.total));
  at.recent_top1 += weight * (static_cast<double>(hits) / count - at.recent_top1);
  if (at.total > kSettled) return;
  at.first_top1 = std::max(at.first_top1, recent_interval(at, count).low);
}

absl::Status check_converges(const TrainPosition& at, double learning_rate) {
  const double per_step =
      static_cast<double>(at.samples) / static_cast<double>(std::max<int64_t>(1, at.step));
  const bool has_collapsed =
      at.total > kSettled && recent_interval(at, per_step).high < at.first_top1 / 2;
  if (!has_collapsed) return absl::OkStatus();
  return absl::AbortedError(
      fmt::format("epoch {}: training has diverged: the first batches had a top-1 of at least "
                  "{:.1f} %, the last ones have {:.1f} %; a smaller learning_rate (it is {}) may "
                  "help",
                  at.epoch + 1, 100 * at.first_top1, 100 * at.recent_top1, learning_rate));
}

}  // namespace fxq
