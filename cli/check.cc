// fxq check: would this model run on that march, and what of it would not, and why. fxq explain:
// what a reason code means.
#include <ATen/core/Tensor.h>
#include <fmt/format.h>
#include <torch/csrc/jit/api/module.h>

#include "absl/strings/ascii.h"
#include "fxq/base/nearest.h"
#include "fxq/base/status.h"
#include "fxq/cli/command.h"
#include "fxq/cli/config_file.h"
#include "fxq/cli/feed.h"
#include "fxq/cli/float_model.h"
#include "fxq/cli/model_file.h"
#include "fxq/quant/check_model.h"
#include "fxq/quant/qconfig_json.h"
#include "fxq/quant/reason_codes.h"
#include "fxq/quant/stage.h"
#include "fxq/tracer/trace.h"

namespace fxq {
namespace {

struct CheckArguments {
  std::string model;
  std::string march;
  std::string config;
  std::vector<std::string> inputs;
  std::vector<std::string> shapes;
  std::vector<std::string> leaves;
  bool strict = false;
  bool allow_torchscript = false;
};

absl::StatusOr<std::vector<c10::IValue>> example_inputs(const CheckArguments& arguments,
                                                        const Config& config) {
  if (arguments.inputs.empty() == arguments.shapes.empty()) {
    return absl::InvalidArgumentError(
        "shapes decide what runs where: give --input x.npy or --shape 1x3x224x224, one of them");
  }
  if (!arguments.shapes.empty()) return example_of_shapes(arguments.model, arguments.shapes);
  FXQ_ASSIGN_OR_RETURN(const torch::jit::Module script, load_script_module(arguments.model));
  FeedRequest request;
  request.files = arguments.inputs;
  request.input_names = script_input_names(script, arguments.inputs);
  // As fxq quantize: what broadcasts over the batch is seen.
  request.batch = config.batch.value_or(kDefaultBatch);
  FXQ_ASSIGN_OR_RETURN(Dataset data, open_dataset(request));
  FXQ_ASSIGN_OR_RETURN(const std::optional<Batch> batch, data.next());
  if (!batch) return absl::InvalidArgumentError("the input is empty");
  return to_values(batch->inputs);
}

absl::StatusOr<CheckReport> check_script(const CheckArguments& arguments, March march,
                                         const Config& config) {
  FXQ_ASSIGN_OR_RETURN(const std::vector<c10::IValue> example, example_inputs(arguments, config));
  FXQ_ASSIGN_OR_RETURN(const GraphModule gm,
                       load_float_graph({arguments.model, arguments.leaves}, example));
  CheckOptions options;
  FXQ_ASSIGN_OR_RETURN(options.qconfigs,
                       make_qconfig_dict(config.qconfig, config.observer.value_or("")));
  FXQ_RETURN_IF_ERROR(expand_globs(gm, options.qconfigs));
  options.hybrid_dict = config.hybrid_dict;
  return check_model(gm, march, {}, options);
}

absl::StatusOr<CheckReport> check_any(const CheckArguments& arguments) {
  Config config;
  if (!arguments.config.empty()) {
    FXQ_ASSIGN_OR_RETURN(config, read_config(arguments.config));
  }
  std::optional<March> march = config.march;
  if (!arguments.march.empty()) {
    FXQ_ASSIGN_OR_RETURN(march, parse_march(arguments.march));
  }
  FXQ_ASSIGN_OR_RETURN(const ModelKind kind, model_kind(arguments.model));
  if (kind == ModelKind::kTorchScript) {
    return check_script(arguments, march.value_or(get_march()), config);
  }
  FXQ_ASSIGN_OR_RETURN(const GraphModule gm,
                       load_fxq_module(arguments.model, arguments.allow_torchscript));
  FXQ_ASSIGN_OR_RETURN(const March prepared, march_of(gm));
  return check_model(gm, march.value_or(prepared), {});
}

absl::Status check(const CheckArguments& arguments) {
  FXQ_ASSIGN_OR_RETURN(const CheckReport report, check_any(arguments));
  fmt::print("{}", report.to_string());
  if (report.passes || !arguments.strict) return absl::OkStatus();
  return gate_missed("--strict: the model does not pass");
}

absl::Status explain(const std::string& code) {
  if (code.empty()) {
    for (const ReasonCode& row : reason_codes()) fmt::print("{}  {}\n", row.code, row.what);
    return absl::OkStatus();
  }
  const ReasonCode* found = find_reason_code(absl::AsciiStrToUpper(code));
  if (!found) {
    std::vector<std::string> known;
    for (const ReasonCode& row : reason_codes()) known.emplace_back(row.code);
    return absl::InvalidArgumentError(
        fmt::format("there is no reason code '{}'; {}", code, did_you_mean(code, known)));
  }
  fmt::print("{}: {}\n\n{}\n", found->code, found->what, found->explanation);
  return absl::OkStatus();
}

}  // namespace

Command add_check(CLI::App& root) {
  auto arguments = std::make_shared<CheckArguments>();
  CLI::App* app = root.add_subcommand("check", "What a march would run, what not, and why");
  app->footer(
      "Examples:\n"
      "  fxq check m.pt --march bayes --shape 1x3x224x224\n"
      "  fxq check m.pt --march bernoulli2 --input x.npy --config c.json --strict\n"
      "  fxq check m.fxq\n"
      "Codes in the table: fxq explain E010");
  app->add_option("model", arguments->model, "A .pt or .fxq file")->required();
  app->add_option("--march", arguments->march,
                  "Target: bayes, bernoulli2, meta, cpu (default: the config's, else cpu)");
  app->add_option("--config", arguments->config, "JSON file: march, qconfig, hybrid");
  app->add_option("--input", arguments->inputs,
                  "Example samples, as many as a batch has (.npy, .npz, .pt; name=file)");
  app->add_option("--shape", arguments->shapes, "Input shape (1x3x224x224, 1x12:i64, name=...)");
  app->add_option("--leaf", arguments->leaves, "Class or module path to keep whole");
  app->add_flag("--strict", arguments->strict, "Exit code 3 if the model does not pass");
  app->add_flag("--allow-torchscript", arguments->allow_torchscript,
                "Load TorchScript that is embedded in the .fxq: it is code, so trust the file");
  return {app, [arguments] { return check(*arguments); }};
}

Command add_explain(CLI::App& root) {
  auto code = std::make_shared<std::string>();
  CLI::App* app = root.add_subcommand("explain", "What a reason code means, and what to do");
  app->add_option("code", *code, "E001, W102, ...; without one, all are listed");
  return {app, [code] { return explain(*code); }};
}

}  // namespace fxq
