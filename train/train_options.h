// Settings of QatTrainer, with defaults for fine-tuning a calibrated model. Plain values; the JSON
// form is the "qat" block of the CLI's --config.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace at {
class Tensor;
}

namespace fxq {

// Where a run is: after a step.
struct TrainProgress {
  int64_t epoch = 0;  // from 0
  int64_t step = 0;   // of this epoch, from 1
  int64_t steps_per_epoch = 0;
  int64_t samples = 0;   // of this step, of all processes
  double loss = 0;       // of this step
  double mean_loss = 0;  // of this epoch so far, and its top-1 (0 to 1)
  double top1 = 0;
  double learning_rate = 0;
};

struct TrainOptions {
  std::string optimizer = "sgd";  // sgd, adam, adamw
  double learning_rate = 0.01;
  double momentum = 0.9;  // of sgd
  double weight_decay = 0.0;
  std::string schedule = "cosine";  // cosine and linear end at 0; constant
  double gradient_clip = 1.0;       // largest norm of all gradients together; 0: none
  int64_t epochs = 1;
  int64_t batch = 32;  // of all processes together
  int64_t seed = 0;    // of the order of samples and of augmentation
  // Augmentation of pictures (augment.h): mirrored by chance, moved by up to so many pixels.
  bool horizontal_flip = false;
  int64_t shift = 0;
  // Weight of the teacher's soft labels in the loss, and the temperature they have.
  double distillation = 0.0;
  double temperature = 2.0;
  // After this share of all steps, statistics of batch norms and observers stay as they are.
  double freeze_after = 1.0;
  // The same of batch norms alone, if that is earlier. Unset: 0 for a model that was calibrated,
  // whose statistics are those of the float model (README.md says why), else 1.
  std::optional<double> freeze_bn_after;
  int64_t patience = 0;  // epochs without a better validation top-1 that end the run; 0: all epochs
  std::string checkpoint;        // file to save the run to and to resume it from; "": none
  int64_t checkpoint_every = 0;  // steps; 0: after each epoch
  // What else the run depends on (the float model, its calibration): a checkpoint of a run with
  // another one is refused.
  std::string origin;
  // f(outputs, labels) -> scalar; unset: cross entropy.
  std::function<at::Tensor(const at::Tensor&, const at::Tensor&)> loss;
  // Called before the first step of every epoch (of this process) with its position; `step` is the
  // number of steps that a resumed epoch has behind it, `samples` those of a step.
  std::function<void(const TrainProgress&)> on_epoch;
  // Called after every step; false ends the run in order, with a checkpoint if there is one.
  std::function<bool(const TrainProgress&)> on_step;

  // InvalidArgument lists all bad values.
  absl::Status validate() const;
};

// What decides the numbers of a run, as text: "optimizer=sgd learning_rate=0.01 ...".
std::string run_settings(const TrainOptions& options);

// Over `standard`: {"optimizer": "adam", "learning_rate": 1e-4, ...}; "" changes nothing. Errors
// name unknown keys and the nearest known ones.
absl::StatusOr<TrainOptions> train_options_from_json(std::string_view json,
                                                     TrainOptions standard = {});

// Of step `step` of `steps`, from 0.
double scheduled_rate(const TrainOptions& options, int64_t step, int64_t steps);

}  // namespace fxq
