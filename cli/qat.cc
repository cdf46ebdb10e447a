// fxq qat: trace -> fuse -> calibrate -> train with fake quantization -> convert -> lower -> .fxq.
#include <ATen/core/Tensor.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include <filesystem>

#include "fxq/base/file.h"
#include "fxq/base/status.h"
#include "fxq/cli/command.h"
#include "fxq/cli/feed.h"
#include "fxq/cli/model_file.h"
#include "fxq/cli/quantize_job.h"
#include "fxq/cli/terminal/interrupt.h"
#include "fxq/cli/terminal/progress.h"
#include "fxq/data/labels.h"
#include "fxq/graph/tensor_convert.h"
#include "fxq/quant/convert_fx.h"
#include "fxq/quant/prepare_fx.h"
#include "fxq/quant/qconfig_json.h"
#include "fxq/runtime/lower/lower.h"
#include "fxq/train/qat_trainer.h"

namespace fxq {
namespace {

struct QatArguments {
  QuantizeArguments job;  // its --calib is the training data
  std::string labels, validation_labels, checkpoint;
  std::vector<std::string> validation;
  int64_t epochs = 0;
  int64_t train_batch = 0;
  double rate = 0;
  bool restart = false;
};

// All samples of some files in memory, with their labels.
absl::StatusOr<std::unique_ptr<BatchSource>> open_samples(const QuantizeJob& job,
                                                          const std::vector<std::string>& files,
                                                          const std::string& labels_file) {
  FeedRequest request;
  request.files = files;
  request.input_names = input_names(job.fused());
  request.batch = 256;
  request.preprocess = job.settings().config.preprocess;
  FXQ_ASSIGN_OR_RETURN(Dataset dataset, open_dataset(request));
  std::vector<std::vector<at::Tensor>> parts(request.input_names.size());
  while (true) {
    FXQ_ASSIGN_OR_RETURN(const std::optional<Batch> batch, dataset.next());
    if (!batch) break;
    for (size_t i = 0; i < batch->inputs.size(); ++i) {
      parts[i].push_back(to_at_tensor(batch->inputs[i].tensor).clone());
    }
  }
  std::vector<at::Tensor> inputs;
  for (const std::vector<at::Tensor>& part : parts) inputs.push_back(at::cat(part));
  FXQ_ASSIGN_OR_RETURN(const std::vector<int64_t> labels, read_labels(labels_file));
  auto source = tensor_source(std::move(inputs), at::tensor(labels, at::kLong));
  if (source.ok()) return source;
  return absl::InvalidArgumentError(
      fmt::format("{}: {}", labels_file, message_of(source.status())));
}

absl::StatusOr<TrainOptions> read_options(const QatArguments& arguments, const Settings& settings) {
  TrainOptions options;
  FXQ_ASSIGN_OR_RETURN(options, train_options_from_json(settings.config.qat));
  if (arguments.epochs > 0) options.epochs = arguments.epochs;
  if (arguments.train_batch > 0) options.batch = arguments.train_batch;
  if (arguments.rate > 0) options.learning_rate = arguments.rate;
  options.checkpoint =
      arguments.checkpoint.empty() ? arguments.job.output + ".checkpoint" : arguments.checkpoint;
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
  for (const std::string& name : arguments.job.int16) dict.module_qconfig.emplace_back(name, int16);
  for (const std::string& name : arguments.job.floats) {
    dict.module_qconfig.emplace_back(name, std::nullopt);
  }
  FXQ_RETURN_IF_ERROR(expand_globs(job.fused(), dict));
  return dict;
}

// One bar per epoch, and Ctrl-C as the end of the run.
class EpochBars {
 public:
  EpochBars(int64_t epochs, bool quiet) : epochs_(epochs), quiet_(quiet) {}

  bool operator()(const TrainProgress& at) {
    if (!bar_ || at.epoch != epoch_) start(at);
    bar_->set_note(fmt::format("loss {:.4f}  top-1 {:.2f} %", at.mean_loss, 100 * at.top1));
    bar_->advance(at.samples);
    if (at.step == at.steps_per_epoch) bar_->finish();
    return !interrupted();
  }
  void finish() { bar_.reset(); }

 private:
  void start(const TrainProgress& at) {
    epoch_ = at.epoch;
    ProgressOptions options;
    options.label = fmt::format("epoch {}/{}", at.epoch + 1, epochs_);
    options.unit = "samples";
    options.total = (at.steps_per_epoch - at.step + 1) * at.samples;
    options.mode = quiet_ ? ProgressMode::kQuiet : ProgressMode::kAuto;
    bar_ = std::make_unique<Progress>(options);
  }

  int64_t epochs_;
  bool quiet_;
  int64_t epoch_ = -1;
  std::unique_ptr<Progress> bar_;
};

absl::StatusOr<QatTrainer> make_trainer(const QatArguments& arguments, const QuantizeJob& job,
                                        const ObservedGraphModule& calibrated,
                                        TrainOptions options) {
  FXQ_ASSIGN_OR_RETURN(const QConfigDict qconfigs, training_qconfigs(arguments, job));
  PrepareOptions prepare;
  prepare.march = job.settings().march;
  FXQ_ASSIGN_OR_RETURN(ObservedGraphModule model, prepare_qat_fx(calibrated, qconfigs, prepare));
  if (arguments.restart) {
    for (const char* suffix : {"", ".best"}) std::filesystem::remove(options.checkpoint + suffix);
  }
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

absl::Status qat(const QatArguments& arguments) {
  FXQ_RETURN_IF_ERROR(check_writable(arguments.job.output));
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
  FXQ_ASSIGN_OR_RETURN(ObservedGraphModule calibrated, job.calibrated(job.settings().qconfigs));
  FXQ_ASSIGN_OR_RETURN(const double calibrated_top1, evaluate_top1(calibrated, judge));
  fmt::print("top-1 on {}: float {:.2f} %, calibrated {:.2f} %\n",
             held_out ? "validation data" : "training data", 100 * float_top1,
             100 * calibrated_top1);
  EpochBars bars(options.epochs, arguments.job.quiet);
  options.on_step = [&bars](const TrainProgress& progress) { return bars(progress); };
  const std::string checkpoint = options.checkpoint;
  FXQ_ASSIGN_OR_RETURN(QatTrainer trainer,
                       make_trainer(arguments, job, calibrated, std::move(options)));
  const InterruptGuard guard;
  FXQ_ASSIGN_OR_RETURN(const TrainReport report, trainer.fit(*data, held_out.get()));
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
  FXQ_RETURN_IF_ERROR(write_program(arguments, job, trainer.model()));
  FXQ_RETURN_IF_ERROR(save_prepared(trainer.model(), arguments.job));
  for (const char* suffix : {"", ".best"}) std::filesystem::remove(checkpoint + suffix);
  fmt::print("top-1: float {:.2f} %, calibrated {:.2f} %, trained {:.2f} %\nwrote {}\n",
             100 * float_top1, 100 * calibrated_top1, 100 * top1, arguments.job.output);
  return absl::OkStatus();
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
      ->check(CLI::PositiveNumber);
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
      "Ctrl-C saves the run; the same command goes on. Training options in --config:\n"
      "  {\"qat\": {\"optimizer\": \"adam\", \"learning_rate\": 1e-4, \"distillation\": 0.5,\n"
      "           \"freeze_after\": 0.8, \"patience\": 2}, \"qconfig\": {\"\": "
      "{\"weight_fake_quant\": \"lsq\"}}}");
  add_model_options(*app, arguments->job);
  add_training_options(*app, *arguments);
  app->add_option("-o,--output", arguments->job.output, "File to write (.fxq)")->required();
  add_prepared_option(*app, arguments->job);
  return {app, [arguments] { return qat(*arguments); }};
}

}  // namespace fxq
