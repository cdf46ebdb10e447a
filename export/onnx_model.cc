// typed copy -> nodes -> names of inputs and outputs -> opsets, metadata, parameters
#include "fxq/export/onnx_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <onnx/onnx_pb.h>

#include <set>

#include "fxq/base/status.h"
#include "fxq/export/export_checks.h"
#include "fxq/export/onnx_graph.h"
#include "fxq/export/subgraphs.h"
#include "fxq/export/typed_copy.h"
#include "fxq/export/value_info.h"
#include "fxq/quant/stage.h"

namespace fxq {
namespace {

// The IR version that came with an opset.
int ir_version(int opset) {
  if (opset <= 11) return 6;
  if (opset <= 14) return 7;
  if (opset <= 18) return 8;
  return opset <= 20 ? 9 : 10;
}

// By nodes, in subgraphs too, and as outputs.
std::set<std::string> used_values(const onnx::GraphProto& graph) {
  std::set<std::string> used;
  for_each_node(graph, [&](const onnx::NodeProto& node) {
    used.insert(node.input().begin(), node.input().end());
  });
  for (const auto& output : graph.output()) used.insert(output.name());
  return used;
}

// Operators of integers leave floats behind that nobody reads.
void drop_unused_floats(onnx::GraphProto& graph) {
  const std::set<std::string> used = used_values(graph);
  auto& nodes = *graph.mutable_node();
  int kept = 0;
  for (int i = 0; i < nodes.size(); ++i) {
    if (nodes[i].op_type() == "DequantizeLinear" && used.count(nodes[i].output(0)) == 0) continue;
    if (kept != i) nodes.SwapElements(kept, i);
    ++kept;
  }
  nodes.DeleteSubrange(kept, nodes.size() - kept);
}

void drop_unused_initializers(onnx::GraphProto& graph) {
  const std::set<std::string> used = used_values(graph);
  auto& initializers = *graph.mutable_initializer();
  int kept = 0;
  for (int i = 0; i < initializers.size(); ++i) {
    if (used.count(initializers[i].name()) == 0) continue;
    if (kept != i) initializers.SwapElements(kept, i);
    ++kept;
  }
  initializers.DeleteSubrange(kept, initializers.size() - kept);
}

void add_input(const onnx::TensorProto& tensor, onnx::GraphProto& graph) {
  onnx::ValueInfoProto& info = *graph.add_input();
  info.set_name(tensor.name());
  auto& type = *info.mutable_type()->mutable_tensor_type();
  type.set_elem_type(tensor.data_type());
  type.mutable_shape();
  for (const int64_t dim : tensor.dims()) type.mutable_shape()->add_dim()->set_dim_value(dim);
}

// Without export_params the parameters are inputs that the user fills.
void place_parameters(const ExportOptions& options, const std::set<std::string>& parameters,
                      onnx::GraphProto& graph) {
  auto& initializers = *graph.mutable_initializer();
  const bool all_inputs = options.keep_initializers_as_inputs.value_or(false);
  int kept = 0;
  for (int i = 0; i < initializers.size(); ++i) {
    const bool removed = !options.export_params && parameters.count(initializers[i].name()) != 0;
    if (removed || all_inputs) add_input(initializers[i], graph);
    if (removed) continue;
    if (kept != i) initializers.SwapElements(kept, i);
    ++kept;
  }
  initializers.DeleteSubrange(kept, initializers.size() - kept);
}

void import_opsets(const ExportOptions& options, onnx::ModelProto& model) {
  std::set<std::string> domains;
  for_each_node(model.graph(), [&](const auto& node) { domains.insert(node.domain()); });
  domains.insert("");
  for (const std::string& domain : domains) {
    auto& import = *model.add_opset_import();
    import.set_domain(domain);
    auto custom = options.custom_opsets.find(domain);
    const int version = custom == options.custom_opsets.end() ? 1 : custom->second;
    import.set_version(domain.empty() ? options.opset_version : version);
  }
}

void add_metadata(const GraphModule& gm, onnx::ModelProto& model) {
  model.set_producer_name("fxq");
  model.set_producer_version(FXQ_VERSION);
  model.set_ir_version(ir_version(static_cast<int>(model.opset_import(0).version())));
  std::map<std::string, std::string> properties{{"producer", "fxq"}, {"version", FXQ_VERSION}};
  for (const char* setting : {kMarchSetting, kStageSetting}) {
    auto it = gm.settings.find(setting);
    if (it != gm.settings.end()) properties[setting] = it->second;
  }
  for (const auto& [key, value] : properties) {
    auto& property = *model.add_metadata_props();
    property.set_key(key);
    property.set_value(value);
  }
}

void summarize(const onnx::ModelProto& model, ExportSummary& summary) {
  summary.inputs = describe_inputs(model);
  summary.outputs = describe_outputs(model);
  for_each_node(model.graph(), [&](const onnx::NodeProto& node) {
    const std::string prefix = node.domain().empty() ? "" : node.domain() + ".";
    ++summary.operators[prefix + node.op_type()];
  });
  for (const auto& tensor : model.graph().initializer()) {
    summary.initializer_bytes += tensor.raw_data().size();
  }
}

bool lacks_shape(const onnx::GraphProto& graph) {
  for (const auto& output : graph.output()) {
    if (!output.type().tensor_type().has_shape()) return true;
  }
  return false;
}

// The names that inputs and outputs shall have, all at once: one may take another's.
void name_ends(const GraphModule& gm, const ExportOptions& options, OnnxGraph& graph,
               OnnxBuilder& builder) {
  std::map<std::string, std::string> names = add_graph_outputs(builder, graph.outputs, options);
  const std::vector<std::string> wanted = onnx_input_names(gm, options);
  const std::vector<Node*> placeholders = gm.graph().placeholders();
  for (size_t i = 0; i < wanted.size(); ++i) names[placeholders[i]->name()] = wanted[i];
  rename_values(builder, names);
}

void print_nodes(const onnx::ModelProto& model) {
  for_each_node(model.graph(), [](const onnx::NodeProto& node) {
    fmt::print("{} = {}({})  # {}\n", fmt::join(node.output(), ", "), node.op_type(),
               fmt::join(node.input(), ", "), node.doc_string());
  });
}

}  // namespace

absl::StatusOr<std::unique_ptr<onnx::ModelProto>> build_onnx_model(
    const GraphModule& model, const std::vector<c10::IValue>& args, const ExportOptions& given,
    ExportSummary& summary) {
  FXQ_RETURN_IF_ERROR(check_export_options(model, given));
  const ExportOptions options = with_axis_symbols(model, given);
  FXQ_ASSIGN_OR_RETURN(const GraphModule typed, typed_copy(model, args, options));
  OnnxBuilder builder(options.opset_version);
  builder.model().mutable_graph()->set_name("fxq");
  FXQ_ASSIGN_OR_RETURN(OnnxGraph graph, write_onnx_graph(typed, options, builder));
  FXQ_RETURN_IF_ERROR(check_outputs(graph.outputs, options));
  name_ends(model, options, graph, builder);
  onnx::GraphProto& proto = *builder.model().mutable_graph();
  drop_unused_floats(proto);
  drop_unused_initializers(proto);
  place_parameters(options, graph.parameters, proto);
  import_opsets(options, builder.model());
  add_metadata(model, builder.model());
  if (options.enable_onnx_checker || lacks_shape(proto)) {
    const OnnxCheck check{options.enable_onnx_checker};
    FXQ_RETURN_IF_ERROR(check_onnx_model(builder.model(), check));
  }
  if (options.verbose) print_nodes(builder.model());
  summary.opset_version = options.opset_version;
  summary.fallthrough = std::move(graph.fallthrough);
  summary.warnings = std::move(graph.warnings);
  for (const std::string& text : typed.notes) {
    summary.warnings.push_back("not checked by the file: " + text);
  }
  const auto stage = model.settings.find(kStageSetting);
  summary.is_quantized = stage != model.settings.end() && stage->second == kStageQuantized;
  summary.is_prepared = stage != model.settings.end() && stage->second == kStageObserved;
  summarize(builder.model(), summary);
  return builder.release();
}

}  // namespace fxq
