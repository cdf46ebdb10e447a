// fxq export: a .pt becomes a float ONNX file, a .fxq a QDQ one, be it quantized or prepared.
#include <ATen/core/Tensor.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "fxq/base/status.h"
#include "fxq/cli/command.h"
#include "fxq/cli/feed.h"
#include "fxq/cli/float_model.h"
#include "fxq/cli/model_file.h"
#include "fxq/cli/onnx_runtime.h"
#include "fxq/cli/validate_onnx.h"
#include "fxq/cli/written_files.h"
#include "fxq/export/onnx_export.h"

namespace fxq {
namespace {

struct ExportArguments {
  std::string model;
  std::string output;
  std::vector<std::string> shapes;
  int opset = 13;
  bool fixed_batch = false;
  bool allow_torchscript = false;
  bool no_check = false;
  bool external_data = false;
  bool fallthrough = false;
  bool validate = true;
  std::vector<std::string> dynamic;
  std::string format = "qdq";
  std::string profile = "exact";
};

ExportOptions export_options(const ExportArguments& arguments) {
  ExportOptions options;
  options.opset_version = arguments.opset;
  options.enable_onnx_checker = arguments.validate && !arguments.no_check;
  if (arguments.format == "qoperator") options.quant_format = QuantFormat::kQOperator;
  if (arguments.profile == "ort") options.profile = ExportProfile::kOrt;
  if (arguments.external_data) options.external_data_threshold = 0;
  options.operator_export_type =
      arguments.fallthrough ? OperatorExportTypes::kOnnxFallthrough : OperatorExportTypes::kOnnx;
  return options;
}

// The shapes that the user gives, else those that the graph was calibrated with.
absl::StatusOr<std::vector<c10::IValue>> example(const ExportArguments& arguments,
                                                 const GraphModule& gm) {
  std::vector<std::string> shapes = arguments.shapes;
  for (const Node* node : gm.graph().placeholders()) {
    if (!arguments.shapes.empty()) break;
    if (!node->type.has_static_shape()) {
      return absl::InvalidArgumentError(
          fmt::format("give the shape of input '{0}': --shape {0}=1x3x224x224", node->target()));
    }
    std::vector<int64_t> sizes;
    for (const Dim& dim : *node->type.dims) sizes.push_back(dim.size);
    shapes.push_back(fmt::format("{}={}", node->target(), fmt::join(sizes, "x")));
  }
  FXQ_ASSIGN_OR_RETURN(const std::vector<NamedTensor> inputs,
                       random_inputs(shapes, input_specs(gm)));
  return to_values(inputs);
}

// "x:0=N,1=T", "x:1": axes of an input, with or without a symbol.
absl::Status add_axes(const std::string& text, DynamicAxes& axes) {
  const size_t colon = text.rfind(':');
  const std::string name = text.substr(0, colon);
  const std::string list = colon == std::string::npos ? "" : text.substr(colon + 1);
  const std::vector<std::string> parts = absl::StrSplit(list, ',');
  for (const std::string& part : parts) {
    const std::vector<std::string> sides = absl::StrSplit(part, '=');
    int64_t axis = 0;
    if (name.empty() || sides.size() > 2 || !absl::SimpleAtoi(sides[0], &axis)) {
      return absl::InvalidArgumentError(fmt::format(
          "--dynamic {}: say INPUT:AXIS=SYMBOL,..., as in x:0=N,1=T; symbols may be left out",
          text));
    }
    axes[name][axis] = sides.size() == 2 ? sides[1] : "";
  }
  return absl::OkStatus();
}

// Where the file is made, to be looked at before it takes the place of what `output` holds.
class Draft {
 public:
  explicit Draft(const std::string& output) : folder_(output), output_(output) {}

  std::string path() const { return folder_.file(name()); }
  absl::Status publish(const ExportSummary& summary) const {
    std::error_code error;
    const auto move = [&](const std::string& from, const std::string& to) {
      if (!error) std::filesystem::rename(from, to, error);
    };
    if (!summary.external_data.empty()) move(summary.external_data, beside(summary.external_data));
    move(path(), output_);
    if (!error) return absl::OkStatus();
    return absl::UnavailableError(fmt::format("{}: {}", output_, error.message()));
  }

  // Where a file of the draft goes.
  std::string beside(const std::filesystem::path& file) const {
    return (std::filesystem::path(output_).parent_path() / file.filename()).string();
  }

 private:
  std::string name() const { return std::filesystem::path(output_).filename().string(); }

  const ScratchFolder folder_;
  const std::string output_;
};

// What was exported, from what, with which inputs ({}: the export found types that run).
struct Exported {
  GraphModule model;
  std::vector<c10::IValue> args;
  ExportSummary summary;
};

absl::StatusOr<Exported> export_graph(const ExportArguments& arguments, GraphModule model,
                                      std::vector<c10::IValue> args) {
  ExportOptions options = export_options(arguments);
  for (const std::string& text : arguments.dynamic) {
    FXQ_RETURN_IF_ERROR(add_axes(text, options.dynamic_axes));
  }
  if (!arguments.fixed_batch && arguments.dynamic.empty() && !args.empty()) {
    options.dynamic_axes = dynamic_batch_axes(model, args);
  }
  FXQ_ASSIGN_OR_RETURN(ExportSummary summary,
                       export_to_onnx(model, args, arguments.output, options));
  return Exported{std::move(model), std::move(args), std::move(summary)};
}

absl::StatusOr<Exported> export_float(const ExportArguments& arguments) {
  if (arguments.shapes.empty() && !arguments.fixed_batch && arguments.dynamic.empty()) {
    FXQ_ASSIGN_OR_RETURN(GraphModule untyped, load_float_graph({arguments.model, {}}));
    return export_graph(arguments, std::move(untyped), {});
  }
  FXQ_ASSIGN_OR_RETURN(std::vector<c10::IValue> args,
                       example_of_shapes(arguments.model, arguments.shapes));
  FXQ_ASSIGN_OR_RETURN(GraphModule gm, load_float_graph({arguments.model, {}}, args));
  return export_graph(arguments, std::move(gm), std::move(args));
}

// A graph of any stage.
absl::StatusOr<Exported> export_fxq(const ExportArguments& arguments) {
  FXQ_ASSIGN_OR_RETURN(GraphModule gm,
                       load_fxq_module(arguments.model, arguments.allow_torchscript));
  FXQ_ASSIGN_OR_RETURN(std::vector<c10::IValue> args, example(arguments, gm));
  return export_graph(arguments, std::move(gm), std::move(args));
}

// The model that a .fxq was quantized from, if it is still where it was.
std::optional<GraphModule> float_model_of(const std::string& path,
                                          const std::vector<c10::IValue>& args) {
  const auto provenance = load_provenance(path);
  if (!provenance.ok() || provenance->float_model.empty()) return std::nullopt;
  const auto hash = file_hash(provenance->float_model);
  if (!hash.ok() || *hash != provenance->float_hash) return std::nullopt;
  auto model = load_float_graph({provenance->float_model, {}}, args);
  if (!model.ok()) return std::nullopt;
  return *std::move(model);
}

void print_report(const ValidationReport& report) {
  for (const std::string& line : report.lines) fmt::print("  {}\n", line);
  for (const std::string& line : report.warnings) fmt::print("  warning: {}\n", line);
}

std::vector<std::string> sizes_of(const std::vector<c10::IValue>& inputs) {
  std::vector<std::string> texts;
  for (const c10::IValue& input : inputs) {
    if (input.isTensor())
      texts.push_back(fmt::format("{}", fmt::join(input.toTensor().sizes(), "x")));
  }
  return texts;
}

// A file that says something else than the graph is not handed over.
absl::Status validate(const ExportArguments& arguments, const Exported& exported,
                      const std::string& path) {
  ValidationRequest request;
  request.model = &exported.model;
  request.path = path;
  request.summary = exported.summary;
  if (arguments.profile == "ort") request.profile = ExportProfile::kOrt;
  if (arguments.format == "qoperator") request.format = QuantFormat::kQOperator;
  request.inputs = exported.args;
  if (request.inputs.empty()) {
    FXQ_ASSIGN_OR_RETURN(request.inputs, inputs_for(exported.model, exported.summary));
  }
  std::optional<GraphModule> reference;
  if (exported.summary.is_quantized) reference = float_model_of(arguments.model, request.inputs);
  if (reference) request.float_model = &*reference;
  FXQ_ASSIGN_OR_RETURN(ValidationReport report, validate_onnx(request));
  print_report(report);
  const std::vector<c10::IValue> others = with_other_sizes(request);
  if (report.was_run && report.failures.empty() && !others.empty()) {
    request.inputs = others;
    if (reference && !reference->forward(others).ok()) request.float_model = nullptr;
    fmt::print("  again with {}:\n", fmt::join(sizes_of(others), ", "));
    FXQ_ASSIGN_OR_RETURN(report, validate_onnx(request));
    print_report(report);
  }
  if (report.failures.empty()) return absl::OkStatus();
  return absl::InternalError(
      fmt::format("the exported file does not compute what the graph computes, so it is not "
                  "written (--no-validate writes it): {}",
                  fmt::join(report.failures, "; ")));
}

const char* kind_of(const ExportArguments& arguments, const ExportSummary& summary) {
  if (summary.is_prepared) return "fake-quant QDQ";
  if (!summary.is_quantized) return "float";
  return arguments.format == "qoperator" ? "QOperator" : "QDQ";
}

void print_summary(const ExportArguments& arguments, const ExportSummary& summary) {
  fmt::print(
      "{}  opset {}  {}{}\n", kind_of(arguments, summary), summary.opset_version,
      fmt::format("{:.2f} MiB", static_cast<double>(summary.file_bytes) / 1048576.0),
      arguments.no_check || !arguments.validate ? "" : "  checker and strict shape inference ok");
  for (const auto& value : summary.inputs) fmt::print("  input  {} {}\n", value.name, value.type);
  for (const auto& value : summary.outputs) fmt::print("  output {} {}\n", value.name, value.type);
  for (const auto& [op, count] : summary.operators) fmt::print("  {:>4} x {}\n", count, op);
  for (const std::string& line : summary.fallthrough) fmt::print("  not standard ONNX: {}\n", line);
  for (const std::string& line : summary.warnings) fmt::print("  warning: {}\n", line);
}

absl::Status export_model(const ExportArguments& arguments) {
  FXQ_RETURN_IF_ERROR(check_written({arguments.output}, {arguments.model}));
  FXQ_ASSIGN_OR_RETURN(const ModelKind kind, model_kind(arguments.model));
  const Draft draft(arguments.output);
  ExportArguments drafted = arguments;
  drafted.output = draft.path();
  FXQ_ASSIGN_OR_RETURN(const Exported exported,
                       kind == ModelKind::kFxq ? export_fxq(drafted) : export_float(drafted));
  print_summary(arguments, exported.summary);
  if (arguments.validate) FXQ_RETURN_IF_ERROR(validate(arguments, exported, drafted.output));
  FXQ_RETURN_IF_ERROR(draft.publish(exported.summary));
  if (!exported.summary.external_data.empty()) {
    fmt::print("wrote {} (weights)\n", draft.beside(exported.summary.external_data));
  }
  fmt::print("wrote {}\n", arguments.output);
  return absl::OkStatus();
}

}  // namespace

Command add_export(CLI::App& root) {
  auto arguments = std::make_shared<ExportArguments>();
  CLI::App* app =
      root.add_subcommand("export", "Write an ONNX file: float from .pt, QDQ from .fxq");
  app->footer(
      "Examples:\n"
      "  fxq export m.fxq --opset 13 -o m.onnx\n"
      "  fxq export m.fxq --profile ort -o m.onnx             (for ONNX Runtime's speed)\n"
      "  fxq export m.pt --shape 1x3x224x224 -o m.onnx");
  app->add_option("model", arguments->model, "A .pt or .fxq file")->required();
  app->add_option("-o,--output", arguments->output, "File to write (.onnx)")->required();
  app->add_option("--opset", arguments->opset,
                  fmt::format("ONNX opset, {} to {} (default 13)", kOldestOpset, newest_opset()))
      ->check(CLI::Range(kOldestOpset, newest_opset()));
  app->add_option(
      "--shape", arguments->shapes,
      "Input shape (1x3x224x224, 1x12:i64, name=...); a .fxq knows its own, for a .pt it is "
      "deduced where that is possible");
  app->add_option("--format", arguments->format,
                  "Of a quantized graph: qdq (default), or qoperator (QLinearConv, QLinearMatMul)")
      ->check(CLI::IsMember({"qdq", "qoperator"}));
  app->add_option("--profile", arguments->profile,
                  "Of a quantized graph: exact (default), or ort: 8 bits in front of adds too, "
                  "faster in ONNX Runtime, a step or two less exact")
      ->check(CLI::IsMember({"exact", "ort"}));
  app->add_flag(
      "--validate,!--no-validate", arguments->validate,
      "Check the file (default): onnx's checker, strict shape inference, and a run beside "
      "the graph where a Python has onnxruntime (FXQ_PYTHON, build/venv, python3)");
  app->add_option("--dynamic", arguments->dynamic,
                  "Axes that stay open, instead of the batch: x:0=N,1=T or x:1 (repeat per input)");
  app->add_flag("--fixed-batch", arguments->fixed_batch, "Do not make the batch size symbolic");
  app->add_flag("--allow-torchscript", arguments->allow_torchscript,
                "Load TorchScript that is embedded in the .fxq: it is code, so trust the file");
  app->add_flag("--external-data", arguments->external_data,
                "Weights in a second file, FILE.data (always beyond 2 GB)");
  app->add_flag("--no-check", arguments->no_check, "Skip onnx's checker and shape inference");
  app->add_flag("--fallthrough", arguments->fallthrough,
                "Write ops that ONNX lacks as nodes of domain aten instead of refusing them");
  return {app, [arguments] { return export_model(*arguments); }};
}

}  // namespace fxq
