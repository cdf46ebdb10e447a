// QatTrainer: the reference fine-tuning loop of a prepared model: batches in a seeded order,
// optimizer and schedule, optional distillation, validation after every epoch, checkpoints that
// resume to the same next loss, early stop. It owns the model while it trains; teacher and data are
// the caller's. On several processes (process_group.h) each takes its part of every batch.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/quant/observed_graph.h"
#include "fxq/train/batch_source.h"
#include "fxq/train/evaluate.h"
#include "fxq/train/train_options.h"

namespace fxq {

struct EpochReport {
  int64_t epoch = 0;
  double loss = 0;  // mean over the epoch, and the top-1 of its batches (0 to 1)
  double top1 = 0;
  std::optional<double> validation_top1;
};

struct TrainReport {
  std::vector<EpochReport> epochs;  // of this process; a resumed run's earlier ones are not here
  int64_t steps = 0;                // of the whole run so far
  bool interrupted = false;         // on_step said so
  bool stopped_early = false;
  // Of validation data: before the first step (of a calibrated model), and of the model that is
  // kept.
  std::optional<double> start_top1;
  std::optional<double> best_top1;
};

class QatTrainer {
 public:
  // `model`: what prepare_qat_fx gives. InvalidArgument for bad options, FailedPrecondition for a
  // model that is not in train() mode or has nothing to train.
  static absl::StatusOr<QatTrainer> create(ObservedGraphModule model, TrainOptions options);
  QatTrainer(QatTrainer&&) noexcept;
  QatTrainer& operator=(QatTrainer&&) noexcept;
  ~QatTrainer();

  // The float model whose outputs are soft labels; needed if options.distillation is above 0. Must
  // outlive the trainer.
  void set_teacher(const GraphModule* teacher);

  // Goes on from options.checkpoint; false if there is none yet. DataLoss if it is of another
  // model, FailedPrecondition if it is of another run; fit() then refuses other data.
  absl::StatusOr<bool> resume();

  // Trains to the end (or to on_step's). Afterwards model() is the best one of the start (if it was
  // calibrated) and all epochs, if there is validation data, else the last. InvalidArgument for
  // labels that the model has no class for, before the first step if the source knows its labels;
  // Aborted if the loss is not finite or top-1 has fallen to half of the first batches', by more
  // than chance.
  absl::StatusOr<TrainReport> fit(BatchSource& data, BatchSource* validation = nullptr);

  // In train() mode and the state QAT.
  ObservedGraphModule& model();
  ObservedGraphModule take_model() &&;

 private:
  struct Run;
  explicit QatTrainer(std::unique_ptr<Run> run);
  std::unique_ptr<Run> run_;
};

}  // namespace fxq
