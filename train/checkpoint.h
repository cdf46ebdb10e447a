// A checkpoint: a saved prepared model with the rest of a run beside its tensors, in one file that
// is written beside and renamed. Private to train/.
#pragma once

#include <string>

#include "fxq/quant/observed_graph.h"
#include "fxq/train/optimizer.h"

namespace fxq {

// Where a run is. Everything else follows from the options and the seed.
struct TrainPosition {
  int64_t epoch = 0;
  int64_t step = 0;   // steps done in this epoch
  int64_t total = 0;  // and in all
  double loss_sum = 0;
  int64_t hits = 0, samples = 0;
  double best_top1 = -1;
  int64_t epochs_since_best = 0;
  double first_top1 = 0, recent_top1 = 0;  // convergence.h: at least, at first; a moving average
};

// A setting of the saved model: run_settings of the options.
inline constexpr const char* kRunSetting = "training";
inline constexpr const char* kDataSetting = "training_data";  // fingerprints

absl::Status save_checkpoint(const ObservedGraphModule& model, const TrainOptimizer& optimizer,
                             const TrainPosition& position, const std::string& data_seen,
                             const TrainOptions& options);

struct Checkpoint {
  GraphModule gm;
  TrainPosition position;
  at::Tensor optimizer, random;
  std::string data_seen;
};
absl::StatusOr<Checkpoint> load_checkpoint(const std::string& path);

}  // namespace fxq
