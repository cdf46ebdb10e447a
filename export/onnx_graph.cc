// placeholder -> graph input     get_attr -> initializer     call -> its lowering     output ->
// outputs
#include "fxq/export/onnx_graph.h"

#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include <unordered_set>

#include "fxq/base/status.h"
#include "fxq/export/exporter.h"
#include "fxq/export/fallthrough.h"
#include "fxq/export/lowering/lowering.h"
#include "fxq/export/prepared_form.h"
#include "fxq/export/value_info.h"
#include "fxq/graph/problems.h"

namespace fxq {
namespace {

// Why a call without a lowering cannot be standard ONNX.
const char* no_form(const Node& node) {
  return node.schema() ? "X001 fxq has no ONNX form for this operator"
                       : "X002 TorchScript code has no ONNX form";
}

class GraphWriter {
 public:
  GraphWriter(const GraphModule& model, const ExportOptions& options, OnnxBuilder& builder)
      : model_(model), options_(options), builder_(builder), exporter_(model, options, builder) {}

  absl::StatusOr<OnnxGraph> write() {
    for (const Node* node : model_.graph().nodes()) {
      if (!node->is(NodeKind::kOutput)) builder_.reserve(node->name());
    }
    Problems problems;
    for (const Node* node : model_.graph().nodes()) {
      if (depends_on_failed(*node)) {
        if (must_be_refused(*node)) problems.add(describe(*node) + ": " + no_form(*node));
        continue;
      }
      builder_.begin(node->name(), doc_string(*node));
      const absl::Status status = write_node(*node);
      if (status.ok()) continue;
      failed_.insert(node);
      problems.add(fmt::format("{}: {}", describe(*node), message_of(status)));
    }
    FXQ_RETURN_IF_ERROR(problems.status(
        absl::StatusCode::kUnimplemented,
        fmt::format("{} node(s) cannot be exported to ONNX", problems.lines().size())));
    result_.parameters = exporter_.parameters();
    result_.warnings.assign(exporter_.warnings().begin(), exporter_.warnings().end());
    return std::move(result_);
  }

 private:
  bool depends_on_failed(const Node& node) {
    for (const Node* input : node.inputs()) {
      if (failed_.count(input) == 0) continue;
      failed_.insert(&node);
      return true;
    }
    return false;
  }

  // Known without its inputs.
  bool must_be_refused(const Node& node) const {
    return options_.operator_export_type == OperatorExportTypes::kOnnx && node.is_call() &&
           !onnx_lowering(node.op()) && !is_fake_quantize(model_, node);
  }

  std::string describe(const Node& node) const {
    std::string text = fmt::format("%{} ({})", node.name(), node.target());
    if (!node.source.empty()) text += " at " + node.source;
    return text;
  }

  std::string doc_string(const Node& node) const {
    if (options_.strip_doc_string && !options_.verbose) return "";
    if (node.owner.path.empty()) return node.source;
    return node.owner.path + (node.source.empty() ? "" : " at " + node.source);
  }

  absl::Status write_node(const Node& node) {
    switch (node.kind()) {
      case NodeKind::kPlaceholder:
        return write_input(node);
      case NodeKind::kGetAttr:
        return write_constant(node);
      case NodeKind::kOutput:
        return collect(node.args()[0], "");
      case NodeKind::kCallMethod:
        return absl::UnimplementedError("X002 a method of an object has no ONNX form");
      default:
        return write_call(node);
    }
  }

  absl::Status write_input(const Node& node) {
    if (!node.type.is_tensor() && node.users().empty()) return absl::OkStatus();
    FXQ_RETURN_IF_ERROR(add_graph_input(builder_.model(), node.name(), node.type));
    exporter_.set(&node, OnnxValue::tensor(node.name()));
    return absl::OkStatus();
  }

  absl::Status write_constant(const Node& node) {
    const at::Tensor tensor = model_.tensor(node.target());
    if (!tensor.defined()) return absl::InvalidArgumentError("its tensor is missing");
    FXQ_ASSIGN_OR_RETURN(std::string value, exporter_.initializer(node.target(), tensor));
    if (node.type.is_quantized()) {
      FXQ_ASSIGN_OR_RETURN(value, exporter_.dequantize(value, node.type, node.name()));
    }
    exporter_.set(&node, OnnxValue::tensor(std::move(value)));
    return absl::OkStatus();
  }

  absl::Status write_call(const Node& node) {
    const OpView view(model_, &node);
    if (is_fake_quantize(model_, node)) return write_fake_quantize(exporter_, view);
    const bool aten_only = options_.operator_export_type == OperatorExportTypes::kOnnxAten &&
                           view.def().rule != Rule::kNotTensor;
    const OnnxLowering lowering = aten_only ? nullptr : onnx_lowering(node.op());
    absl::Status status = absl::UnimplementedError(no_form(node));
    if (lowering) {
      status = lowering(exporter_, view);
      if (status.ok() || !absl::IsUnimplemented(status)) return status;
      builder_.drop_since_begin();
      status = absl::UnimplementedError(fmt::format("X003 {}", message_of(status)));
    }
    if (options_.operator_export_type == OperatorExportTypes::kOnnx) return status;
    FXQ_RETURN_IF_ERROR(fall_through(exporter_, view));
    result_.fallthrough.push_back(fmt::format("{}: {}", describe(node), message_of(status)));
    return absl::OkStatus();
  }

  // Outputs in order, lists and dicts flattened. `key` names a dict's entry.
  absl::Status collect(const Argument& argument, const std::string& key) {
    if (const Node* node = argument.node()) return collect(exporter_.value(node), *node, key);
    if (const auto* dict = argument.get_if<DictArg>()) {
      for (const auto& [name, value] : dict->items) {
        const auto* text = name.get_if<std::string>();
        FXQ_RETURN_IF_ERROR(collect(value, text ? *text : name.to_string()));
      }
      return absl::OkStatus();
    }
    if (const std::vector<Argument>* items = argument.items()) {
      for (const Argument& item : *items) FXQ_RETURN_IF_ERROR(collect(item, ""));
      return absl::OkStatus();
    }
    if (argument.is_none()) return absl::OkStatus();
    return absl::UnimplementedError(
        fmt::format("X003 the constant {} is no tensor output", argument.to_string()));
  }

  absl::Status collect(const OnnxValue& value, const Node& node, const std::string& key) {
    if (value.kind == OnnxValue::Kind::kNone) return absl::OkStatus();
    if (value.kind == OnnxValue::Kind::kList || value.kind == OnnxValue::Kind::kDict) {
      for (size_t i = 0; i < value.children.size(); ++i) {
        FXQ_RETURN_IF_ERROR(
            collect(value.children[i], node, i < value.keys.size() ? value.keys[i] : ""));
      }
      return absl::OkStatus();
    }
    OnnxOutput output;
    output.value = value.is_ints() ? exporter_.int_tensor(value) : value.name;
    output.type = value.is_ints() ? Type::tensor(DType::kI64, {}) : node.type;
    if (value.kind == OnnxValue::Kind::kInts) output.type.dims.reset();
    if (!output.type.is_tensor()) output.type = Type::tensor();  // a part of a list
    output.name = key;
    result_.outputs.push_back(std::move(output));
    return absl::OkStatus();
  }

  const GraphModule& model_;
  const ExportOptions& options_;
  OnnxBuilder& builder_;
  Exporter exporter_;
  OnnxGraph result_;
  std::unordered_set<const Node*> failed_;
};

}  // namespace

absl::StatusOr<OnnxGraph> write_onnx_graph(const GraphModule& model, const ExportOptions& options,
                                           OnnxBuilder& builder) {
  return GraphWriter(model, options, builder).write();
}

}  // namespace fxq
