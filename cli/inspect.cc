// fxq inspect: what is in a model: its nodes with types and source lines, its parameters, and what
// fusion would make of it.
#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include "fxq/base/file.h"
#include "fxq/base/status.h"
#include "fxq/cli/command.h"
#include "fxq/cli/config_file.h"
#include "fxq/cli/float_model.h"
#include "fxq/cli/model_file.h"
#include "fxq/cli/terminal/table.h"
#include "fxq/graph/draw.h"
#include "fxq/graph/text.h"
#include "fxq/graph/weighted_bn_module.h"
#include "fxq/quant/check_qconfig.h"
#include "fxq/quant/float_calls.h"
#include "fxq/quant/fuse_fx.h"
#include "fxq/quant/qconfig_json.h"

namespace fxq {
namespace {

struct InspectArguments {
  std::string model;
  std::vector<std::string> shapes;
  std::vector<std::string> leaves;
  std::string config;
  std::string svg;
  std::string dot;
  bool fused = false;
  bool allow_torchscript = false;
  bool text = false;
};

// "x=Nx3x8x8" -> "x=2x3x8x8", and true: types are asked for every batch size.
bool fix_batch(std::string& shape) {
  const size_t equals = shape.find('=');
  const size_t first = equals == std::string::npos ? 0 : equals + 1;
  if (shape.compare(first, 2, "Nx") != 0) return false;
  shape[first] = '2';
  return true;
}

absl::StatusOr<GraphModule> load_pt(const InspectArguments& arguments) {
  FloatModelRequest request{arguments.model, arguments.leaves};
  absl::StatusOr<GraphModule> gm;
  if (arguments.shapes.empty()) {
    gm = load_float_graph(request);
  } else {
    std::vector<std::string> shapes = arguments.shapes;
    for (std::string& shape : shapes) request.symbolic_batch |= fix_batch(shape);
    FXQ_ASSIGN_OR_RETURN(const std::vector<c10::IValue> example,
                         example_of_shapes(arguments.model, shapes));
    gm = load_float_graph(request, example);
  }
  if (!gm.ok() || !arguments.fused) return gm;
  return fuse_fx(*gm);
}

absl::StatusOr<GraphModule> load_any(const InspectArguments& arguments) {
  FXQ_ASSIGN_OR_RETURN(const ModelKind kind, model_kind(arguments.model));
  if (kind == ModelKind::kTorchScript) return load_pt(arguments);
  return load_fxq_module(arguments.model, arguments.allow_torchscript);
}

std::string call_text(const GraphModule& gm, const Node& node) {
  std::string text(node.op() != OpId::kNone ? op_def(node.op()).name
                                            : std::string_view(node.target()));
  if (!node.is_call()) text = std::string(kind_name(node.kind()));
  if (const auto module = std::dynamic_pointer_cast<WeightedBnModule>(gm.module(node.target()))) {
    text = module->kind();  // "bn_conv2d": a ConvBn, whose batch norm trains on
  }
  if (node.epilogue_add()) text += "+add";
  if (node.epilogue_activation() != OpId::kNone) {
    text += "+" + std::string(op_def(node.epilogue_activation()).name);
  }
  return text;
}

void print_nodes(const GraphModule& gm) {
  Table table({{"node"}, {"op"}, {"module"}, {"type"}, {"source"}});
  for (const Node* node : gm.graph().nodes()) {
    table.add_row({node->name(), call_text(gm, *node), node->owner.path, node->type.to_string(),
                   node->source});
  }
  fmt::print("{}", table.render());
}

void print_summary(const GraphModule& gm) {
  int64_t parameters = 0;
  for (const auto& [path, tensor] : gm.named_parameters()) parameters += tensor.numel();
  int64_t buffers = 0;
  for (const auto& [path, tensor] : gm.named_buffers()) buffers += tensor.numel();
  std::map<std::string, int> calls;
  for (const Node* node : gm.graph().nodes()) {
    if (node->is_call()) ++calls[call_text(gm, *node)];
  }
  fmt::print("\n{} nodes, {} parameters, {} buffer elements\n", gm.graph().size(), parameters,
             buffers);
  for (const auto& [op, count] : calls) fmt::print("  {:>4} x {}\n", count, op);
  print_assumptions(gm);
  for (const std::string& note : gm.notes) fmt::print("fuse: {}\n", note);
  for (const auto& [key, value] : gm.settings) {
    if (key != kFloatCallsSetting) fmt::print("{}: {}\n", key, value);
  }
}

// Which rule of a config gives each op its qconfig.
absl::Status print_qconfigs(const GraphModule& gm, const std::string& path) {
  FXQ_ASSIGN_OR_RETURN(const Config config, read_config(path));
  FXQ_ASSIGN_OR_RETURN(QConfigDict dict,
                       make_qconfig_dict(config.qconfig, config.observer.value_or("")));
  FXQ_RETURN_IF_ERROR(expand_globs(gm, dict));
  FXQ_ASSIGN_OR_RETURN(const QConfigTable checked, check_qconfig(gm, dict));
  Table table({{"node"}, {"op"}, {"decided by"}, {"rule"}, {"qconfig"}});
  for (const QConfigRow& row : checked.rows) {
    table.add_row({row.node, row.op, row.module, row.rule, row.qconfig});
  }
  fmt::print("{}", table.render());
  for (const std::string& note : checked.notes) fmt::print("note: {}\n", note);
  return absl::OkStatus();
}

absl::Status inspect(const InspectArguments& arguments) {
  FXQ_ASSIGN_OR_RETURN(const GraphModule gm, load_any(arguments));
  if (!arguments.config.empty()) return print_qconfigs(gm, arguments.config);
  if (arguments.text) {
    fmt::print("{}", print_text(gm));
  } else {
    print_nodes(gm);
    print_summary(gm);
  }
  if (!arguments.dot.empty()) {
    FXQ_RETURN_IF_ERROR(write_file_atomically(arguments.dot, to_dot(gm)));
    fmt::print("wrote {}\n", arguments.dot);
  }
  if (!arguments.svg.empty()) {
    FXQ_ASSIGN_OR_RETURN(const std::string svg, to_svg(gm));
    FXQ_RETURN_IF_ERROR(write_file_atomically(arguments.svg, svg));
    fmt::print("wrote {}\n", arguments.svg);
  }
  return absl::OkStatus();
}

}  // namespace

Command add_inspect(CLI::App& root) {
  auto arguments = std::make_shared<InspectArguments>();
  CLI::App* app = root.add_subcommand("inspect", "Show a model's graph: nodes, types, sources");
  app->footer(
      "Examples:\n"
      "  fxq inspect m.pt --shape 1x3x224x224 --fused\n"
      "  fxq inspect m.pt --shape Nx3x224x224         (types for every batch size)\n"
      "  fxq inspect m.pt --shape 1x3x224x224 --config c.json    (which qconfig each op has, and "
      "why)\n"
      "  fxq inspect m.fxq --svg m.svg");
  app->add_option("model", arguments->model, "A .pt or .fxq file")->required();
  app->add_option("--config", arguments->config,
                  "Show instead which rule of this config gives each op its qconfig");
  app->add_option("--shape", arguments->shapes,
                  "Input shape (1x3x224x224, Nx3x224x224, 1x12:i64, name=...): gives types");
  app->add_option("--leaf", arguments->leaves, "Class or module path to keep whole");
  app->add_flag("--fused", arguments->fused, "After fusion; says what was not fused and why");
  app->add_flag("--allow-torchscript", arguments->allow_torchscript,
                "Load TorchScript that is embedded in the .fxq: it is code, so trust the file");
  app->add_flag("--text", arguments->text, "The graph's text form instead of a table");
  app->add_option("--svg", arguments->svg, "Draw the graph into this file");
  app->add_option("--dot", arguments->dot, "Write the graph as Graphviz DOT");
  return {app, [arguments] { return inspect(*arguments); }};
}

}  // namespace fxq
