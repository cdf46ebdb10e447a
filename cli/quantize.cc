// fxq quantize: trace -> fuse -> calibrate -> convert -> lower -> one .fxq file.
#include <ATen/core/Tensor.h>
#include <fmt/format.h>
#include <torch/csrc/jit/api/module.h>

#include <limits>

#include "fxq/base/file.h"
#include "fxq/base/status.h"
#include "fxq/cli/command.h"
#include "fxq/cli/config_file.h"
#include "fxq/cli/feed.h"
#include "fxq/cli/float_model.h"
#include "fxq/cli/model_file.h"
#include "fxq/cli/terminal/interrupt.h"
#include "fxq/cli/terminal/progress.h"
#include "fxq/graph/tensor_convert.h"
#include "fxq/quant/compare.h"
#include "fxq/quant/convert_fx.h"
#include "fxq/quant/fuse_fx.h"
#include "fxq/quant/prepare_fx.h"
#include "fxq/quant/qconfig_json.h"
#include "fxq/runtime/lower/lower.h"
#include "fxq/tracer/trace.h"

namespace fxq {
namespace {

struct QuantizeArguments {
  std::string model;
  std::vector<std::string> calib;
  std::vector<std::string> random_calib;
  std::string output;
  std::string config;
  std::string march;
  std::string observer;
  std::vector<std::string> leaves;
  std::vector<std::string> int16;
  std::vector<std::string> floats;
  int64_t batch = 0;
  int64_t limit = 0;
  bool allow_uncalibrated = false;
  bool quiet = false;
  bool strict = false;
};

struct Settings {
  Config config;
  QConfigDict qconfigs;
  March march = March::CPU;
  int64_t batch = 8;
  std::optional<int64_t> limit;
};

// --int16 and --float are stronger than the config's names.
absl::Status add_flags(const QuantizeArguments& arguments, const std::string& observer,
                       QConfigDict& dict) {
  QKwargs kwargs;
  if (!observer.empty()) kwargs.emplace_back("observer", observer);
  FXQ_ASSIGN_OR_RETURN(const QConfig wide, get_default_calib_qconfig("qint16", kwargs));
  for (const std::string& name : arguments.int16) dict.module_qconfig.emplace_back(name, wide);
  for (const std::string& name : arguments.floats) {
    dict.module_qconfig.emplace_back(name, std::nullopt);
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
  settings.batch = arguments.batch > 0 ? arguments.batch : settings.config.batch.value_or(8);
  settings.limit = settings.config.limit;
  if (arguments.limit > 0) settings.limit = arguments.limit;
  const std::string observer =
      arguments.observer.empty() ? settings.config.observer.value_or("") : arguments.observer;
  FXQ_ASSIGN_OR_RETURN(settings.qconfigs, make_qconfig_dict(settings.config.qconfig, observer));
  FXQ_RETURN_IF_ERROR(add_flags(arguments, observer, settings.qconfigs));
  return settings;
}

// Batches of one run: a dataset, or one random batch.
class CalibrationData {
 public:
  static absl::StatusOr<CalibrationData> open(const QuantizeArguments& arguments,
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
      fmt::print(
          stderr,
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

  int64_t size() const { return size_; }

  absl::StatusOr<std::optional<Batch>> next() {
    if (dataset_) return dataset_->next();
    if (random_used_) return std::optional<Batch>();
    random_used_ = true;
    return std::optional<Batch>(Batch{0, size_, random_});
  }
  void rewind() {
    random_used_ = false;
    if (dataset_) dataset_->rewind();
  }

 private:
  std::optional<Dataset> dataset_;
  std::vector<NamedTensor> random_;
  bool random_used_ = false;
  int64_t size_ = 0;
};

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

void print_report(const QuantizedGraph& model, double sqnr, const std::string& path) {
  const QuantReport& report = model.report;
  for (const std::string& note : report.notes) fmt::print("note: {}\n", note);
  fmt::print("ops: {} int8, {} int16, {} float\n", report.count(OpMode::kInt8),
             report.count(OpMode::kInt16), report.count(OpMode::kFloat));
  for (const OpStatus& op : report.ops) {
    if (op.mode != OpMode::kFloat) continue;
    fmt::print("  float: %{} ({}) {} {}\n", op.node, op.op, op.code, op.reason);
  }
  if (report.count(OpMode::kInt8) + report.count(OpMode::kInt16) == 0) {
    fmt::print(stderr, "warning: nothing was quantized; the list says why\n");
  }
  fmt::print("SQNR of int8 against float on the first batch: {:.1f} dB\n", sqnr);
  fmt::print("wrote {}\n", path);
}

absl::StatusOr<GraphModule> fused_model(const QuantizeArguments& arguments,
                                        const std::vector<c10::IValue>& example) {
  FXQ_ASSIGN_OR_RETURN(const GraphModule gm,
                       load_float_graph({arguments.model, arguments.leaves}, example));
  FuseOptions options;
  options.check_inputs = &example;
  FXQ_ASSIGN_OR_RETURN(GraphModule fused, fuse_fx(gm, options));
  if (!arguments.quiet) {
    for (const std::string& note : fused.notes) fmt::print("fuse: {}\n", note);
    for (const std::string& guard : gm.guards) fmt::print("assumed: {}\n", guard);
  }
  return fused;
}

// Runs the program that is to be written, as its users will.
absl::StatusOr<double> sqnr_of(const GraphModule& reference, const Program& program,
                               const std::vector<NamedTensor>& inputs) {
  FXQ_ASSIGN_OR_RETURN(const c10::IValue expected, reference.forward(to_values(inputs)));
  ExecutorRequest request;
  request.allow_torchscript = true;
  FXQ_ASSIGN_OR_RETURN(const std::unique_ptr<Executor> executor,
                       Executor::create(program, executor_options(request)));
  FXQ_ASSIGN_OR_RETURN(const std::vector<HostTensor> outputs,
                       executor->run(to_host_tensors(inputs)));
  const std::vector<at::Tensor> tensors = flatten_tensors(expected);
  if (outputs.size() != tensors.size()) {
    return absl::InternalError(
        fmt::format("the program has {} outputs, the model {}", outputs.size(), tensors.size()));
  }
  double worst = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < outputs.size(); ++i) {
    FXQ_ASSIGN_OR_RETURN(const double sqnr, sqnr_db(tensors[i], to_at_tensor(outputs[i])));
    worst = std::min(worst, sqnr);
  }
  return worst;
}

// What its users will meet, said before they do.
void print_torchscript(const GraphModule& gm, const std::string& path) {
  std::vector<std::string> parts;
  for (const Node* node : gm.graph().nodes()) {
    if (node->is(NodeKind::kCallModule) && !node->schema()) parts.push_back(node->name());
  }
  if (parts.empty()) return;
  constexpr size_t kShown = 5;
  const size_t count = parts.size();
  if (count > kShown) {
    parts.resize(kShown);
    parts.emplace_back("...");
  }
  fmt::print(stderr,
             "note: {} part(s) stay TorchScript in {}: {}\n"
             "  running it needs --allow-torchscript; a traced model often has none\n",
             count, path, fmt::join(parts, ", "));
}

absl::Status quantize(const QuantizeArguments& arguments) {
  FXQ_ASSIGN_OR_RETURN(const ModelKind kind, model_kind(arguments.model));
  if (kind == ModelKind::kFxq) {
    return absl::InvalidArgumentError(arguments.model + ": is quantized already; needs a .pt");
  }
  FXQ_RETURN_IF_ERROR(check_writable(arguments.output));
  FXQ_ASSIGN_OR_RETURN(const Settings settings, read_settings(arguments));
  FXQ_ASSIGN_OR_RETURN(const torch::jit::Module script, load_script_module(arguments.model));
  std::vector<std::string> named = arguments.calib;
  named.insert(named.end(), arguments.random_calib.begin(), arguments.random_calib.end());
  FXQ_ASSIGN_OR_RETURN(
      CalibrationData data,
      CalibrationData::open(arguments, settings, script_input_names(script, named)));
  FXQ_ASSIGN_OR_RETURN(const std::optional<Batch> first, data.next());
  const std::vector<c10::IValue> example = to_values(first->inputs);
  FXQ_ASSIGN_OR_RETURN(const GraphModule fused, fused_model(arguments, example));
  QConfigDict qconfigs = settings.qconfigs;
  FXQ_RETURN_IF_ERROR(expand_globs(fused, qconfigs));
  PrepareOptions prepare;
  prepare.march = settings.march;
  FXQ_ASSIGN_OR_RETURN(const ObservedGraphModule observed,
                       prepare_calibration_fx(fused, qconfigs, prepare));
  FXQ_RETURN_IF_ERROR(calibrate(observed, data, arguments.quiet));
  ConvertOptions convert;
  convert.allow_uncalibrated = arguments.allow_uncalibrated;
  FXQ_ASSIGN_OR_RETURN(const QuantizedGraph model, convert_fx(observed, convert));
  if (arguments.strict && model.report.count(OpMode::kFloat) > 0) {
    return absl::FailedPreconditionError("--strict: these ops stay float:\n" +
                                         model.report.to_string());
  }
  Provenance provenance{arguments.model, "", settings.config.preprocess};
  FXQ_ASSIGN_OR_RETURN(provenance.float_hash, file_hash(arguments.model));
  FXQ_ASSIGN_OR_RETURN(const Program program, lower(model.graph_module()));
  FXQ_ASSIGN_OR_RETURN(const double sqnr, sqnr_of(fused, program, first->inputs));
  FXQ_RETURN_IF_ERROR(save_fxq(model, program, provenance, arguments.output));
  if (!arguments.quiet) print_report(model, sqnr, arguments.output);
  print_torchscript(model.graph_module(), arguments.output);
  return absl::OkStatus();
}

}  // namespace

Command add_quantize(CLI::App& root) {
  auto arguments = std::make_shared<QuantizeArguments>();
  CLI::App* app = root.add_subcommand("quantize", "Make an int8 program from a TorchScript model");
  app->footer(
      "Examples:\n"
      "  fxq quantize m.pt --calib x.npy -o m.fxq\n"
      "  fxq quantize m.pt --calib image=pictures/ --calib mask=mask.npy --config c.json -o m.fxq\n"
      "  fxq quantize m.pt --random-calib 4x3x224x224 -o m.fxq      (speed tests only)\n"
      "  fxq quantize m.pt --calib x.npy --int16 'head.*' --float 'post.*' -o m.fxq\n"
      "Qconfigs in --config; the longest path wins, null keeps a module in float; `fxq inspect "
      "m.pt\n"
      "--config c.json` shows who gets what:\n"
      "  {\"qconfig\": {\"\": {\"dtype\": \"qint8\"}, \"module_name\": [[\"fc\", null]],\n"
      "               \"module_type\": [[\"Linear\", {\"dtype\": \"qint16\", \"observer\": "
      "\"mse\"}]]}}");
  app->add_option("model", arguments->model, "TorchScript file (.pt)")->required();
  app->add_option("--calib", arguments->calib,
                  "Calibration data: .npy, .npz, .pt or a folder of .jpg/.png; several inputs as "
                  "name=file");
  app->add_option("--random-calib", arguments->random_calib,
                  "Calibrate on random numbers of this shape (4x3x224x224, 4x12:i64, name=shape)");
  app->add_option("-o,--output", arguments->output, "File to write (.fxq)")->required();
  app->add_option("--config", arguments->config, "JSON file: march, observer, qconfig, preprocess");
  app->add_option("--march", arguments->march, "Target: cpu (default), bayes, bernoulli2, meta");
  app->add_option("--observer", arguments->observer,
                  "Of activations: mse (default), min_max, percentile, kl, mix, clip_std, ...");
  app->add_option("--int16", arguments->int16,
                  "Modules whose results are 16-bit: a path, or a glob ('head.*')");
  app->add_option("--float", arguments->floats, "Modules that stay in float: a path, or a glob");
  app->add_option("--leaf", arguments->leaves, "Class or module path to keep whole, in float");
  app->add_option("--batch", arguments->batch, "Samples per step (default 8)")
      ->check(positive_number());
  app->add_option("--limit", arguments->limit, "Use so many samples only")
      ->check(positive_number());
  app->add_flag("--allow-uncalibrated", arguments->allow_uncalibrated,
                "Go on if a value never saw data");
  app->add_flag("--strict", arguments->strict, "Fail if an op stays in float");
  app->add_flag("-q,--quiet", arguments->quiet, "Print errors only");
  return {app, [arguments] { return quantize(*arguments); }};
}

}  // namespace fxq
