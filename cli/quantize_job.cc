// .pt -> graph -> fused -> prepared -> calibrated, with progress and notes.
#include "fxq/cli/quantize_job.h"

#include <ATen/core/Tensor.h>
#include <fmt/format.h>
#include <torch/csrc/jit/api/module.h>

#include "fxq/base/status.h"
#include "fxq/cli/command.h"
#include "fxq/cli/float_model.h"
#include "fxq/cli/model_file.h"
#include "fxq/cli/terminal/interrupt.h"
#include "fxq/cli/terminal/progress.h"
#include "fxq/passes/equalize.h"
#include "fxq/quant/bias_correction.h"
#include "fxq/quant/fuse_fx.h"
#include "fxq/quant/prepare_fx.h"
#include "fxq/quant/qconfig_json.h"
#include "fxq/tracer/trace.h"

namespace fxq {
namespace {

// --int16 and --float are stronger than the config's names.
absl::Status add_flags(const QuantizeArguments& arguments, const std::string& observer,
                       QConfigDict& dict) {
  QKwargs kwargs;
  if (!observer.empty()) kwargs.emplace_back("observer", observer);
  FXQ_ASSIGN_OR_RETURN(const QConfig wide, get_default_calib_qconfig("qint16", kwargs));
  for (const std::string& name : arguments.int16) dict.any_member.emplace_back(name, wide);
  for (const std::string& name : arguments.floats) {
    dict.any_member.emplace_back(name, std::nullopt);
  }
  return absl::OkStatus();
}

absl::StatusOr<Settings> read_settings(const QuantizeArguments& arguments) {
  Settings settings;
  if (!arguments.config.empty()) {
    FXQ_ASSIGN_OR_RETURN(settings.config, read_config(arguments.config));
  }
  settings.march = settings.config.march.value_or(get_march());
  if (!arguments.march.empty()) {
    FXQ_ASSIGN_OR_RETURN(settings.march, parse_march(arguments.march));
  }
  settings.batch =
      arguments.batch > 0 ? arguments.batch : settings.config.batch.value_or(kDefaultBatch);
  settings.limit = settings.config.limit;
  if (arguments.limit > 0) settings.limit = arguments.limit;
  const std::string observer =
      arguments.observer.empty() ? settings.config.observer.value_or("") : arguments.observer;
  FXQ_ASSIGN_OR_RETURN(settings.qconfigs, make_qconfig_dict(settings.config.qconfig, observer));
  FXQ_RETURN_IF_ERROR(add_flags(arguments, observer, settings.qconfigs));
  return settings;
}

absl::Status calibrate(const ObservedGraphModule& model, CalibrationData& data, bool quiet) {
  ProgressOptions options;
  options.label = "calibrate";
  options.unit = "samples";
  options.total = data.size();
  options.mode = quiet ? ProgressMode::kQuiet : ProgressMode::kAuto;
  Progress progress(options);
  const InterruptGuard guard;
  data.rewind();
  while (true) {
    FXQ_ASSIGN_OR_RETURN(const std::optional<Batch> batch, data.next());
    if (!batch) return absl::OkStatus();
    FXQ_RETURN_IF_ERROR(model.forward(to_values(batch->inputs)).status());
    progress.advance(batch->size);
    if (interrupted()) return absl::CancelledError("interrupted; nothing was written");
  }
}

absl::StatusOr<GraphModule> fused_model(const QuantizeArguments& arguments,
                                        const std::vector<c10::IValue>& example) {
  FXQ_ASSIGN_OR_RETURN(GraphModule gm,
                       load_float_graph({arguments.model, arguments.leaves}, example));
  FuseOptions options;
  if (!arguments.with_bn) options.check_inputs = &example;  // batch norms want no batch of one
  gm.train(arguments.with_bn);
  FXQ_ASSIGN_OR_RETURN(GraphModule fused, fuse_fx(gm, options));
  fused.eval();
  if (arguments.equalize) FXQ_RETURN_IF_ERROR(equalize(fused).status());
  if (!arguments.quiet) {
    for (const std::string& note : fused.notes) fmt::print("fuse: {}\n", note);
    print_assumptions(gm);
  }
  return fused;
}

}  // namespace

void add_quantize_options(CLI::App& app, QuantizeArguments& arguments) {
  add_model_options(app, arguments);
  app.add_option("--calib", arguments.calib,
                 "Calibration data: .npy, .npz, .pt or a folder of .jpg/.png; several inputs as "
                 "name=file");
  app.add_option("--random-calib", arguments.random_calib,
                 "Calibrate on random numbers of this shape (4x3x224x224, 4x12:i64, name=shape)");
  app.add_option("--batch", arguments.batch,
                 fmt::format("Samples per step (default {})", kDefaultBatch))
      ->check(positive_number());
  app.add_option("--limit", arguments.limit, "Use so many samples only")->check(positive_number());
}

void add_model_options(CLI::App& app, QuantizeArguments& arguments) {
  app.add_option("model", arguments.model, "TorchScript file (.pt)")->required();
  app.add_option("--config", arguments.config, "JSON file: march, observer, qconfig, preprocess");
  app.add_option("--march", arguments.march, "Target: cpu (default), bayes, bernoulli2, meta");
  app.add_flag("--hybrid", arguments.hybrid,
               "Ops that the march lacks, and those of the config's \"hybrid\", run on the CPU");
  app.add_option("--observer", arguments.observer,
                 "Of activations: mse (default), min_max, percentile, kl, mix, clip_std, ...");
  app.add_option("--int16", arguments.int16,
                 "Modules whose results are 16-bit: a path, or a glob ('head.*')");
  app.add_option("--float", arguments.floats, "Modules that stay in float: a path, or a glob");
  app.add_flag("--equalize", arguments.equalize,
               "Balance weights of neighbouring layers first (for per-tensor weight scales)");
  app.add_flag("--bias-correction", arguments.bias_correction,
               "Take back what rounding weights does to means, on 32 batches");
  app.add_option("--leaf", arguments.leaves, "Class or module path to keep whole, in float");
  app.add_flag("-q,--quiet", arguments.quiet, "Print errors only");
}

absl::StatusOr<CalibrationData> CalibrationData::open(const QuantizeArguments& arguments,
                                                      const Settings& settings,
                                                      const std::vector<std::string>& names) {
  CalibrationData data;
  if (arguments.calib.empty() && arguments.random_calib.empty()) {
    return absl::InvalidArgumentError(
        "no calibration data: give --calib FILE (.npy, .npz, .pt or a folder of pictures with a "
        "\"preprocess\" block in --config), or, to measure speed only, --random-calib "
        "4x3x224x224");
  }
  if (!arguments.calib.empty() && !arguments.random_calib.empty()) {
    return absl::InvalidArgumentError("give --calib or --random-calib, not both");
  }
  if (names.empty()) return absl::InvalidArgumentError("the model has no inputs");
  if (arguments.calib.empty()) {
    fmt::print(stderr,
               "warning: calibrating on RANDOM numbers; the result is good for speed tests only\n");
    FXQ_ASSIGN_OR_RETURN(data.random_, random_inputs(arguments.random_calib, input_specs(names)));
    data.size_ = data.random_[0].tensor.dims().empty() ? 1 : data.random_[0].tensor.dims()[0];
    return data;
  }
  FeedRequest request;
  request.files = arguments.calib;
  request.input_names = names;
  request.batch = settings.batch;
  request.limit = settings.limit;
  request.preprocess = settings.config.preprocess;
  FXQ_ASSIGN_OR_RETURN(data.dataset_, open_dataset(request));
  data.size_ = data.dataset_->size();
  if (data.size_ == 0) return absl::InvalidArgumentError("the calibration data is empty");
  return data;
}

absl::StatusOr<std::optional<Batch>> CalibrationData::next() {
  if (dataset_) return dataset_->next();
  if (random_used_) return std::optional<Batch>();
  random_used_ = true;
  return std::optional<Batch>(Batch{0, size_, random_});
}

void CalibrationData::rewind() {
  random_used_ = false;
  if (dataset_) dataset_->rewind();
}

absl::StatusOr<QuantizeJob> QuantizeJob::open(const QuantizeArguments& arguments) {
  FXQ_ASSIGN_OR_RETURN(const ModelKind kind, model_kind(arguments.model));
  if (kind == ModelKind::kFxq) {
    return absl::InvalidArgumentError(arguments.model + ": is quantized already; needs a .pt");
  }
  QuantizeJob job;
  job.quiet_ = arguments.quiet;
  job.hybrid_ = arguments.hybrid;
  job.bias_correction_ = arguments.bias_correction;
  FXQ_ASSIGN_OR_RETURN(job.settings_, read_settings(arguments));
  FXQ_ASSIGN_OR_RETURN(const torch::jit::Module script, load_script_module(arguments.model));
  std::vector<std::string> named = arguments.calib;
  named.insert(named.end(), arguments.random_calib.begin(), arguments.random_calib.end());
  FXQ_ASSIGN_OR_RETURN(job.data_, CalibrationData::open(arguments, job.settings_,
                                                        script_input_names(script, named)));
  FXQ_ASSIGN_OR_RETURN(const std::optional<Batch> first, job.data_->next());
  if (!first) return absl::InvalidArgumentError("the calibration data is empty");
  job.first_ = first->inputs;
  FXQ_ASSIGN_OR_RETURN(job.fused_, fused_model(arguments, to_values(job.first_)));
  return job;
}

absl::StatusOr<ObservedGraphModule> QuantizeJob::calibrated(QConfigDict qconfigs) {
  FXQ_RETURN_IF_ERROR(expand_globs(*fused_, qconfigs));
  PrepareOptions prepare;
  prepare.march = settings_.march;
  prepare.hybrid = hybrid_;
  prepare.hybrid_dict = settings_.config.hybrid_dict;
  FXQ_ASSIGN_OR_RETURN(ObservedGraphModule observed,
                       prepare_calibration_fx(*fused_, qconfigs, prepare));
  FXQ_RETURN_IF_ERROR(calibrate(observed, *data_, quiet_));
  if (bias_correction_) {
    constexpr int64_t kBatches = 32;
    FXQ_ASSIGN_OR_RETURN(const auto some, batches(kBatches));
    FXQ_RETURN_IF_ERROR(correct_biases(observed, some).status());
  }
  return observed;
}

absl::StatusOr<std::vector<std::vector<c10::IValue>>> QuantizeJob::batches(int64_t count) {
  std::vector<std::vector<c10::IValue>> result;
  data_->rewind();
  while (static_cast<int64_t>(result.size()) < count) {
    FXQ_ASSIGN_OR_RETURN(const std::optional<Batch> batch, data_->next());
    if (!batch) break;
    result.push_back(to_values(batch->inputs));
  }
  return result;
}

void add_prepared_option(CLI::App& app, QuantizeArguments& arguments) {
  app.add_option("--prepared", arguments.prepared,
                 "Also write the graph with fake quantization (.fxq), which `fxq export` takes");
}

std::vector<std::string> files_read(const QuantizeArguments& arguments) {
  std::vector<std::string> files = arguments.calib;
  files.push_back(arguments.model);
  if (!arguments.config.empty()) files.push_back(arguments.config);
  return files;
}

absl::Status save_prepared(const ObservedGraphModule& model, const QuantizeArguments& arguments) {
  return arguments.prepared.empty() ? absl::OkStatus() : save(model, arguments.prepared);
}

}  // namespace fxq
