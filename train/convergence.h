// Whether a run still knows what it knew: top-1 of the last steps against that of the first ones,
// both as far as so few samples can tell. Pure functions of a run's position. Private to train/.
#pragma once

#include "absl/status/status.h"
#include "fxq/train/checkpoint.h"

namespace fxq {

// Where the share of all samples lies if `samples` of them showed `share`: Wilson's score interval
// of two standard errors. Never empty, also for a share of 0 or 1.
struct ShareInterval {
  double low = 0, high = 1;
};
ShareInterval share_interval(double share, double samples);

// Adds a step, the at.total-th, to first_top1 and recent_top1.
void follow_top1(TrainPosition& at, int64_t hits, int64_t samples);

// Aborted if top-1 of the last steps is surely below half of what the first ones surely had: a net
// that answers everything with one class has a finite loss.
absl::Status check_converges(const TrainPosition& at, double learning_rate);

}  // namespace fxq
