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
  std::optional<double> best_top1;  // of validation
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

  // Goes on from options.checkpoint; false if there is none yet. DataLoss if it is of another run.
  absl::StatusOr<bool> resume();

  // Trains to the end (or to on_step's). Afterwards model() is the one of the best epoch, if there
  // is validation data, else the last. Errors name the step.
  absl::StatusOr<TrainReport> fit(BatchSource& data, BatchSource* validation = nullptr);

  // In train() mode and the state QAT.
  ObservedGraphModule& model();
  ObservedGraphModule take_model() &&;

 private:
  struct Run;
  explicit QatTrainer(std::unique_ptr<Run> run);
  std::unique_ptr<Run> run_;
};

// Share of samples whose largest output is their label, as the integer program will have it:
// eval() mode, state VALIDATION. The model's mode and observers are given back.
absl::StatusOr<double> evaluate_top1(ObservedGraphModule& model, BatchSource& data,
                                     int64_t batch = 64);
// Of a float model, which must be in eval() mode.
absl::StatusOr<double> evaluate_top1(const GraphModule& model, BatchSource& data,
                                     int64_t batch = 64);

}  // namespace fxq
