// fxq export: a .pt becomes a float ONNX file, a .fxq a QDQ one, be it quantized or prepared.
#include <fmt/format.h>

#include "fxq/base/status.h"
#include "fxq/cli/command.h"
#include "fxq/cli/feed.h"
#include "fxq/cli/float_model.h"
#include "fxq/cli/model_file.h"
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
};

ExportOptions export_options(const ExportArguments& arguments) {
  ExportOptions options;
  options.opset_version = arguments.opset;
  options.enable_onnx_checker = !arguments.no_check;
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

absl::StatusOr<ExportSummary> export_float(const ExportArguments& arguments) {
  if (arguments.shapes.empty() && !arguments.fixed_batch) {  // the export finds types that run
    FXQ_ASSIGN_OR_RETURN(const GraphModule untyped, load_float_graph({arguments.model, {}}));
    return export_to_onnx(untyped, {}, arguments.output, export_options(arguments));
  }
  FXQ_ASSIGN_OR_RETURN(const std::vector<c10::IValue> args,
                       example_of_shapes(arguments.model, arguments.shapes));
  FXQ_ASSIGN_OR_RETURN(const GraphModule gm, load_float_graph({arguments.model, {}}, args));
  ExportOptions options = export_options(arguments);
  if (!arguments.fixed_batch) options.dynamic_axes = dynamic_batch_axes(gm, args);
  return export_to_onnx(gm, args, arguments.output, options);
}

// A graph of any stage.
absl::StatusOr<ExportSummary> export_fxq(const ExportArguments& arguments) {
  FXQ_ASSIGN_OR_RETURN(const GraphModule gm,
                       load_fxq_module(arguments.model, arguments.allow_torchscript));
  FXQ_ASSIGN_OR_RETURN(const std::vector<c10::IValue> args, example(arguments, gm));
  ExportOptions options = export_options(arguments);
  if (!arguments.fixed_batch) options.dynamic_axes = dynamic_batch_axes(gm, args);
  return export_to_onnx(gm, args, arguments.output, options);
}

const char* kind_of(const ExportSummary& summary) {
  if (summary.is_prepared) return "fake-quant QDQ";
  return summary.is_quantized ? "QDQ" : "float";
}

void print_summary(const ExportArguments& arguments, const ExportSummary& summary) {
  fmt::print("{}  opset {}  {}{}\n", kind_of(summary), summary.opset_version,
             fmt::format("{:.2f} MiB", static_cast<double>(summary.file_bytes) / 1048576.0),
             arguments.no_check ? "" : "  checker and strict shape inference ok");
  for (const auto& value : summary.inputs) fmt::print("  input  {} {}\n", value.name, value.type);
  for (const auto& value : summary.outputs) fmt::print("  output {} {}\n", value.name, value.type);
  for (const auto& [op, count] : summary.operators) fmt::print("  {:>4} x {}\n", count, op);
  for (const std::string& line : summary.fallthrough) fmt::print("  not standard ONNX: {}\n", line);
  for (const std::string& line : summary.warnings) fmt::print("  warning: {}\n", line);
  if (!summary.external_data.empty()) fmt::print("wrote {} (weights)\n", summary.external_data);
  fmt::print("wrote {}\n", arguments.output);
}

absl::Status export_model(const ExportArguments& arguments) {
  FXQ_ASSIGN_OR_RETURN(const ModelKind kind, model_kind(arguments.model));
  FXQ_ASSIGN_OR_RETURN(const ExportSummary summary,
                       kind == ModelKind::kFxq ? export_fxq(arguments) : export_float(arguments));
  print_summary(arguments, summary);
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
      "  fxq export m.pt --shape 1x3x224x224 -o m.onnx");
  app->add_option("model", arguments->model, "A .pt or .fxq file")->required();
  app->add_option("-o,--output", arguments->output, "File to write (.onnx)")->required();
  app->add_option("--opset", arguments->opset, "ONNX opset, 11 to 17 (default 13)")
      ->check(CLI::Range(11, 17));
  app->add_option(
      "--shape", arguments->shapes,
      "Input shape (1x3x224x224, 1x12:i64, name=...); a .fxq knows its own, for a .pt it is "
      "deduced where that is possible");
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
