// fxq qat: trace -> fuse -> calibrate -> train with fake quantization -> convert -> lower -> .fxq.
#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "fxq/base/status.h"
#include "fxq/cli/command.h"
#include "fxq/cli/feed.h"
#include "fxq/cli/model_file.h"
#include "fxq/cli/quantize_job.h"
#include "fxq/cli/terminal/interrupt.h"
#include "fxq/cli/terminal/progress.h"
#include "fxq/cli/written_files.h"
#include "fxq/data/labels.h"
#include "fxq/quant/convert_fx.h"
#include "fxq/quant/prepare_fx.h"
#include "fxq/quant/qconfig_json.h"
#include "fxq/runtime/lower/lower.h"
#include "fxq/train/qat_trainer.h"

namespace fxq {
namespace {

// The float model is at hand here: half of the loss is to stay near it, which keeps a model that
// quantizes well from getting worse.
constexpr double kDistillation = 0.5;

struct QatArguments {
  QuantizeArguments job;  // its --calib is the training data
  std::string labels, validation_labels, checkpoint;
  std::vector<std::string> validation;
  int64_t epochs = 0;
  int64_t train_batch = 0;
  double rate = 0;
  bool flip = false;
  int64_t shift = 0;
  bool restart = false;
};

// Samples of some files, read when their turn comes, with their labels.
absl::StatusOr<std::unique_ptr<BatchSource>> open_samples(const QuantizeJob& job,
                                                          const std::vector<std::string>& files,
                                                          const std::string& labels_file) {
  FeedRequest request;
  request.files = files;
  request.input_names = input_names(job.fused());
  request.preprocess = job.settings().config.preprocess;
  FXQ_ASSIGN_OR_RETURN(Dataset dataset, open_dataset(request));
  FXQ_ASSIGN_OR_RETURN(const std::vector<int64_t> labels, read_labels(labels_file));
  auto source = dataset_source(std::move(dataset), labels);
  absl::Status status = source.status();
  if (status.ok()) {
    FXQ_ASSIGN_OR_RETURN(const int64_t classes, count_classes(job.fused(), **source));
    if (classes == 0) {
      return absl::InvalidArgumentError(
          "the first output of the model has no classes: fxq qat trains classifiers, "
          "f32[N,classes]; "
          "for another loss write a program of train/qat_trainer.h");
    }
    status = check_labels(**source, classes);
  }
  if (status.ok()) return source;
  return absl::Status(status.code(), fmt::format("{}: {}", labels_file, message_of(status)));
}

// The float model and how it is calibrated.
absl::StatusOr<std::string> origin_of(const QuantizeArguments& job, const Settings& settings) {
  FXQ_ASSIGN_OR_RETURN(const std::string hash, file_hash(job.model));
  return fmt::format(
      "model={} observer={} equalize={} bias_correction={} hybrid={} with_bn={} limit={} batch={} "
      "preprocess={}",
      hash, job.observer.empty() ? settings.config.observer.value_or("") : job.observer,
      job.equalize, job.bias_correction, job.hybrid, job.with_bn, settings.limit.value_or(0),
      settings.batch, settings.config.preprocess);
}

std::string checkpoint_of(const QatArguments& arguments) {
  return arguments.checkpoint.empty() ? arguments.job.output + ".checkpoint" : arguments.checkpoint;
}

absl::Status check_files(const QatArguments& arguments) {
  std::vector<std::string> read = files_read(arguments.job);
  read.insert(read.end(), arguments.validation.begin(), arguments.validation.end());
  read.push_back(arguments.labels);
  if (!arguments.validation_labels.empty()) read.push_back(arguments.validation_labels);
  const std::string checkpoint = checkpoint_of(arguments);
  return check_written(
      {arguments.job.output, arguments.job.prepared, checkpoint, checkpoint + ".best"}, read);
}

absl::StatusOr<TrainOptions> read_options(const QatArguments& arguments, const Settings& settings) {
  TrainOptions options;
  options.distillation = kDistillation;
  FXQ_ASSIGN_OR_RETURN(options, train_options_from_json(settings.config.qat, options));
  if (arguments.epochs > 0) options.epochs = arguments.epochs;
  if (arguments.train_batch > 0) options.batch = arguments.train_batch;
  if (arguments.rate > 0) options.learning_rate = arguments.rate;
  if (arguments.flip) options.horizontal_flip = true;
  if (arguments.shift > 0) options.shift = arguments.shift;
  options.checkpoint = checkpoint_of(arguments);
  FXQ_ASSIGN_OR_RETURN(options.origin, origin_of(arguments.job, settings));
  return options;
}

// The qconfig block again, over the defaults of training.
absl::StatusOr<QConfigDict> training_qconfigs(const QatArguments& arguments,
                                              const QuantizeJob& job) {
  const std::string& block = job.settings().config.qconfig;
  QConfigJsonOptions json;
  json.qat = true;
  FXQ_ASSIGN_OR_RETURN(QConfigDict dict,
                       qconfig_dict_from_json(block.empty() ? "{}" : block, json));
  QatQConfigOptions wide;
  wide.dtype = "qint16";
  FXQ_ASSIGN_OR_RETURN(const QConfig int16, get_default_qat_qconfig(wide));
  for (const std::string& name : arguments.job.int16) dict.any_member.emplace_back(name, int16);
  for (const std::string& name : arguments.job.floats) {
    dict.any_member.emplace_back(name, std::nullopt);
  }
  FXQ_RETURN_IF_ERROR(expand_globs(job.fused(), dict));
  return dict;
}

// Those of calibration. averaging_constant 0 is for training: it keeps calibrated scales, and would
// end calibration after one batch.
QConfigDict calibration_qconfigs(QConfigDict dict) {
  const auto follow_data = [](std::optional<QConfig>& qconfig) {
    if (!qconfig || !qconfig->activation) return;
    FakeQuantizeOptions options = qconfig->activation->options();
    if (options.observer_kwargs.averaging_constant != 0.0) return;
    options.observer_kwargs.averaging_constant.reset();
    qconfig->activation = FakeQuantizeFactory(std::move(options));
  };
  follow_data(dict.global);
  for (auto* entries :
       {&dict.module_type, &dict.module_name, &dict.module_qconfig, &dict.any_member}) {
    for (auto& [name, qconfig] : *entries) follow_data(qconfig);
  }
  return dict;
}

// One bar per epoch, and Ctrl-C as the end of the run.
class EpochBars {
 public:
  EpochBars(int64_t epochs, bool quiet) : epochs_(epochs), quiet_(quiet) {}

  void begin(const TrainProgress& at) {
    ProgressOptions options;
    options.label = fmt::format("epoch {}/{}", at.epoch + 1, epochs_);
    options.unit = "samples";
    options.total = (at.steps_per_epoch - at.step) * at.samples;
    options.mode = quiet_ ? ProgressMode::kQuiet : ProgressMode::kAuto;
    bar_ = std::make_unique<Progress>(options);
  }
  // False after Ctrl-C.
  bool step(const TrainProgress& at) {
    bar_->set_note(fmt::format("loss {:.4f}  top-1 {:.2f} %", at.mean_loss, 100 * at.top1));
    bar_->advance(at.samples);
    if (at.step == at.steps_per_epoch) bar_->finish();
    return !interrupted();
  }
  void finish() { bar_.reset(); }

 private:
  int64_t epochs_;
  bool quiet_;
  std::unique_ptr<Progress> bar_;
};

void remove_checkpoint(const std::string& checkpoint) {
  for (const char* suffix : {"", ".best"}) std::filesystem::remove(checkpoint + suffix);
}

absl::StatusOr<QatTrainer> make_trainer(const QatArguments& arguments, const QuantizeJob& job,
                                        const ObservedGraphModule& calibrated,
                                        TrainOptions options) {
  FXQ_ASSIGN_OR_RETURN(const QConfigDict qconfigs, training_qconfigs(arguments, job));
  PrepareOptions prepare;
  prepare.march = job.settings().march;
  prepare.hybrid = arguments.job.hybrid;
  prepare.hybrid_dict = job.settings().config.hybrid_dict;
  FXQ_ASSIGN_OR_RETURN(ObservedGraphModule model, prepare_qat_fx(calibrated, qconfigs, prepare));
  if (arguments.restart) remove_checkpoint(options.checkpoint);
  FXQ_ASSIGN_OR_RETURN(QatTrainer trainer, QatTrainer::create(std::move(model), options));
  trainer.set_teacher(&job.fused());
  FXQ_ASSIGN_OR_RETURN(const bool resumed, trainer.resume());
  if (resumed) fmt::print("resuming from {} (--restart begins anew)\n", options.checkpoint);
  return trainer;
}

absl::Status write_program(const QatArguments& arguments, const QuantizeJob& job,
                           const ObservedGraphModule& trained) {
  FXQ_ASSIGN_OR_RETURN(const QuantizedGraph quantized, convert_fx(trained));
  FXQ_ASSIGN_OR_RETURN(const Program program, lower(quantized.graph_module()));
  Provenance provenance{arguments.job.model, "", job.settings().config.preprocess};
  FXQ_ASSIGN_OR_RETURN(provenance.float_hash, file_hash(arguments.job.model));
  return save_fxq(quantized, program, provenance, arguments.job.output);
}

// Worse by more than chance: a point and two standard errors.
absl::Status check_no_worse(double top1, double calibrated, int64_t samples, double rate) {
  const double error = std::sqrt(calibrated * (1 - calibrated) / static_cast<double>(samples));
  if (top1 >= calibrated - 0.01 - 2 * error) return absl::OkStatus();
  return absl::AbortedError(fmt::format(
      "training made it worse: top-1 {:.2f} % and {:.2f} % before; nothing was written. Try a "
      "smaller --learning-rate (it is {}) or more --epochs; fxq quantize keeps calibration's "
      "result",
      100 * top1, 100 * calibrated, rate));
}

absl::Status qat(const QatArguments& arguments) {
  FXQ_RETURN_IF_ERROR(check_files(arguments));
  FXQ_ASSIGN_OR_RETURN(QuantizeJob job, QuantizeJob::open(arguments.job));
  FXQ_ASSIGN_OR_RETURN(TrainOptions options, read_options(arguments, job.settings()));
  FXQ_ASSIGN_OR_RETURN(const auto data, open_samples(job, arguments.job.calib, arguments.labels));
  std::unique_ptr<BatchSource> held_out;
  if (!arguments.validation.empty()) {
    FXQ_ASSIGN_OR_RETURN(held_out,
                         open_samples(job, arguments.validation, arguments.validation_labels));
  }
  BatchSource& judge = held_out ? *held_out : *data;
  FXQ_ASSIGN_OR_RETURN(const double float_top1, evaluate_top1(job.fused(), judge));
  FXQ_ASSIGN_OR_RETURN(ObservedGraphModule calibrated,
                       job.calibrated(calibration_qconfigs(job.settings().qconfigs)));
  FXQ_ASSIGN_OR_RETURN(const double calibrated_top1, evaluate_top1(calibrated, judge));
  fmt::print("top-1 on {}: float {:.2f} %, calibrated {:.2f} %\n",
             held_out ? "validation data" : "training data", 100 * float_top1,
             100 * calibrated_top1);
  EpochBars bars(options.epochs, arguments.job.quiet);
  options.on_epoch = [&bars](const TrainProgress& at) { bars.begin(at); };
  options.on_step = [&bars](const TrainProgress& at) { return bars.step(at); };
  const std::string checkpoint = options.checkpoint;
  const double learning_rate = options.learning_rate;
  FXQ_ASSIGN_OR_RETURN(QatTrainer trainer,
                       make_trainer(arguments, job, calibrated, std::move(options)));
  const InterruptGuard guard;
  const auto fitted = trainer.fit(*data, held_out.get());
  if (absl::IsAborted(fitted.status())) remove_checkpoint(checkpoint);  // it would diverge again
  FXQ_ASSIGN_OR_RETURN(const TrainReport report, fitted);
  bars.finish();
  for (const EpochReport& epoch : report.epochs) {
    fmt::print(
        "epoch {}: loss {:.4f}, top-1 {:.2f} %{}\n", epoch.epoch + 1, epoch.loss, 100 * epoch.top1,
        epoch.validation_top1 ? fmt::format(", validation {:.2f} %", 100 * *epoch.validation_top1)
                              : "");
  }
  if (report.interrupted) {
    return absl::CancelledError(fmt::format(
        "interrupted after {} steps; the same command goes on from {}", report.steps, checkpoint));
  }
  if (report.stopped_early) fmt::print("stopped early: validation got no better\n");
  FXQ_ASSIGN_OR_RETURN(const double top1, evaluate_top1(trainer.model(), judge));
  const absl::Status no_worse = check_no_worse(top1, calibrated_top1, judge.size(), learning_rate);
  if (!no_worse.ok()) remove_checkpoint(checkpoint);
  FXQ_RETURN_IF_ERROR(no_worse);
  FXQ_RETURN_IF_ERROR(write_program(arguments, job, trainer.model()));
  FXQ_RETURN_IF_ERROR(save_prepared(trainer.model(), arguments.job));
  remove_checkpoint(checkpoint);
  fmt::print("top-1: float {:.2f} %, calibrated {:.2f} %, trained {:.2f} %\nwrote {}\n",
             100 * float_top1, 100 * calibrated_top1, 100 * top1, arguments.job.output);
  return absl::OkStatus();
}

std::string is_positive(const std::string& text) {
  const double number = std::strtod(text.c_str(), nullptr);
  return number > 0 && std::isfinite(number) ? "" : text + " is no positive number";
}

void add_training_options(CLI::App& app, QatArguments& arguments) {
  app.add_option("--data", arguments.job.calib, "Training samples: .npy, .npz, .pt, pictures")
      ->required();
  app.add_option("--labels", arguments.labels, "One class index per sample: .npy or .csv")
      ->required();
  auto* validation =
      app.add_option("--validation", arguments.validation, "Samples that judge each epoch");
  app.add_option("--validation-labels", arguments.validation_labels, "Their labels")
      ->needs(validation);
  validation->needs(app.get_option("--validation-labels"));
  app.add_option("--epochs", arguments.epochs, "Epochs (default 1)")->check(positive_number());
  app.add_option("--train-batch", arguments.train_batch, "Samples per training step (default 32)")
      ->check(positive_number());
  app.add_option("--learning-rate", arguments.rate, "Of the first step (default 0.01)")
      ->check(is_positive);
  app.add_flag("--flip", arguments.flip, "Augmentation: mirror pictures left to right, by chance");
  app.add_option("--shift", arguments.shift, "Augmentation: move pictures by up to so many pixels")
      ->check(positive_number());
  app.add_flag("--with-bn", arguments.job.with_bn,
               "Batch norms train on and are folded at the end, not before");
  app.add_option("--checkpoint", arguments.checkpoint,
                 "File that an interrupted run goes on from (default OUTPUT.checkpoint)");
  app.add_flag("--restart", arguments.restart, "Begin anew, whatever the checkpoint says");
}

}  // namespace

Command add_qat(CLI::App& root) {
  auto arguments = std::make_shared<QatArguments>();
  arguments->job.limit = 256;
  CLI::App* app = root.add_subcommand("qat", "Fine-tune a model as int8, from calibrated scales");
  app->footer(
      "Examples:\n"
      "  fxq qat m.pt --data x.npy --labels y.npy -o m.fxq\n"
      "  fxq qat m.pt --data x.npy --labels y.npy --validation vx.npy --validation-labels vy.npy\n"
      "      --config c.json --epochs 3 -o m.fxq\n"
      "Ctrl-C saves the run; the same command goes on. Half of the loss is distillation from the\n"
      "float model. Training options in --config:\n"
      "  {\"qat\": {\"optimizer\": \"adam\", \"learning_rate\": 1e-4, \"distillation\": 0.5,\n"
      "           \"freeze_after\": 0.8, \"patience\": 2, \"shift\": 2}, \"qconfig\": {\"\": "
      "{\"weight_fake_quant\": \"lsq\"}}}");
  add_model_options(*app, arguments->job);
  add_training_options(*app, *arguments);
  app->add_option("-o,--output", arguments->job.output, "File to write (.fxq)")->required();
  add_prepared_option(*app, arguments->job);
  return {app, [arguments] { return qat(*arguments); }};
}

}  // namespace fxq
