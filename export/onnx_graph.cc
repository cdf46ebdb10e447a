// placeholder -> graph input     get_attr -> initializer     call -> its lowering     output ->
// outputs
#include "fxq/export/onnx_graph.h"

#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include <unordered_set>

#include "fxq/base/status.h"
#include "fxq/export/control_flow.h"
#include "fxq/export/exporter.h"
#include "fxq/export/fallthrough.h"
#include "fxq/export/lowering/lowering.h"
#include "fxq/export/open_blocks.h"
#include "fxq/export/prepared_form.h"
#include "fxq/export/value_info.h"
#include "fxq/graph/problems.h"

namespace fxq {
namespace {

// Why a call without a lowering cannot be standard ONNX.
std::string no_form(const GraphModule& model, const Node& node) {
  if (node.schema()) return "X001 fxq has no ONNX form for this operator";
  const std::string why = why_closed(model, node);
  return "X002 TorchScript code has no ONNX form" + (why.empty() ? "" : ": " + why);
}

// Names of a model's nodes, in blocks too.
void reserve_names(const GraphModule& model, OnnxBuilder& builder) {
  for (const Node* node : model.graph().nodes()) {
    if (!node->is(NodeKind::kOutput)) builder.reserve(node->name());
    const BlockModule* block = called_block(model, *node);
    for (size_t i = 0; block && i < block->bodies().size(); ++i) {
      reserve_names(block->bodies()[i], builder);
    }
  }
}

class GraphWriter {
 public:
  GraphWriter(const GraphModule& model, const ExportOptions& options, OnnxBuilder& builder,
              Problems& problems)
      : model_(model),
        options_(options),
        builder_(builder),
        problems_(problems),
        exporter_(model, options, builder),
        is_body_(false) {}
  // Of a block's body.
  GraphWriter(const GraphWriter& outer, const GraphModule& body)
      : model_(body),
        options_(outer.options_),
        builder_(outer.builder_),
        problems_(outer.problems_),
        exporter_(outer.exporter_, body),
        is_body_(true) {}

  absl::StatusOr<OnnxGraph> write() {
    reserve_names(model_, builder_);
    write_nodes();
    FXQ_RETURN_IF_ERROR(problems_.status(
        absl::StatusCode::kUnimplemented,
        fmt::format("{} node(s) cannot be exported to ONNX", problems_.lines().size())));
    result_.parameters = exporter_.parameters();
    result_.warnings.assign(exporter_.warnings().begin(), exporter_.warnings().end());
    return std::move(result_);
  }

 private:
  void write_nodes() {
    for (const Node* node : model_.graph().nodes()) {
      if (depends_on_failed(*node)) {
        if (options_.operator_export_type == OperatorExportTypes::kOnnx) refuse(model_, *node);
        continue;
      }
      builder_.begin(node->name(), doc_string(*node));
      const absl::Status status = write_node(*node);
      if (status.ok()) continue;
      failed_.insert(node);
      if (absl::IsAborted(status)) continue;  // its body's problems are listed
      problems_.add(fmt::format("{}: {}", describe(*node), message_of(status)));
      if (const BlockModule* block = called_block(model_, *node)) refuse_bodies(*block);
    }
  }

  // What the body returns. Aborted: its problems are listed.
  absl::StatusOr<OnnxValue> write_body(const GraphModule& body,
                                       const std::vector<OnnxValue>& inputs) {
    GraphWriter inner(*this, body);
    const std::vector<Node*> placeholders = body.graph().placeholders();
    for (size_t i = 0; i < placeholders.size(); ++i) {
      inner.exporter_.set(placeholders[i], inputs[i]);
    }
    inner.write_nodes();
    for (std::string& line : inner.result_.fallthrough) {
      result_.fallthrough.push_back(std::move(line));
    }
    if (!inner.failed_.empty()) return absl::AbortedError("its body cannot be exported");
    return inner.returned_;
  }

  bool depends_on_failed(const Node& node) {
    for (const Node* input : node.inputs()) {
      if (failed_.count(input) == 0) continue;
      failed_.insert(&node);
      return true;
    }
    return false;
  }

  // What has no form is known without its inputs.
  void refuse(const GraphModule& model, const Node& node) {
    if (const BlockModule* block = called_block(model, node)) return refuse_bodies(*block);
    if (node.is_call() && !onnx_lowering(node.op()) && !is_fake_quantize(model, node)) {
      problems_.add(describe(node) + ": " + no_form(model, node));
    }
  }

  void refuse_bodies(const BlockModule& block) {
    if (options_.operator_export_type != OperatorExportTypes::kOnnx) return;
    for (const GraphModule& body : block.bodies()) {
      for (const Node* node : body.graph().nodes()) refuse(body, *node);
    }
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
        return is_body_ ? absl::OkStatus() : write_input(node);
      case NodeKind::kGetAttr:
        return write_constant(node);
      case NodeKind::kOutput:
        return is_body_ ? give_back(node.args()[0]) : collect(node.args()[0], "");
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

  absl::Status give_back(const Argument& argument) {
    FXQ_ASSIGN_OR_RETURN(returned_, exporter_.value_of(argument));
    return absl::OkStatus();
  }

  absl::Status write_call(const Node& node) {
    if (const BlockModule* block = called_block(model_, node)) {
      const absl::Status status = write_block(
          exporter_, node, *block,
          [this](const auto& body, const auto& inputs) { return write_body(body, inputs); });
      return absl::IsUnimplemented(status)
                 ? absl::UnimplementedError(fmt::format("X003 {}", message_of(status)))
                 : status;
    }
    const OpView view(model_, &node);
    if (is_fake_quantize(model_, node)) return write_fake_quantize(exporter_, view);
    const bool aten_only = options_.operator_export_type == OperatorExportTypes::kOnnxAten &&
                           view.def().rule != Rule::kNotTensor;
    const OnnxLowering lowering = aten_only ? nullptr : onnx_lowering(node.op());
    absl::Status status = absl::UnimplementedError(no_form(model_, node));
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
    if (value.kind == OnnxValue::Kind::kSequence) {
      return absl::UnimplementedError(
          fmt::format("X003 %{} is a list whose length depends on data; as an output it has to be "
                      "tensors",
                      node.name()));
    }
    OnnxOutput output;
    output.value = value.is_ints()                        ? exporter_.int_tensor(value)
                   : value.kind == OnnxValue::Kind::kBool ? exporter_.bool_tensor(value)
                                                          : value.name;
    output.type = value.is_ints() ? Type::tensor(DType::kI64, {}) : node.type;
    if (value.kind == OnnxValue::Kind::kBool) output.type = Type::tensor(DType::kBool, {});
    if (value.kind == OnnxValue::Kind::kFloat) output.type = Type::tensor(DType::kF64, {});
    if (value.kind == OnnxValue::Kind::kInts) output.type.dims.reset();
    if (!output.type.is_tensor()) output.type = Type::tensor();  // a part of a list
    output.name = key;
    result_.outputs.push_back(std::move(output));
    return absl::OkStatus();
  }

  const GraphModule& model_;
  const ExportOptions& options_;
  OnnxBuilder& builder_;
  Problems& problems_;
  Exporter exporter_;
  OnnxGraph result_;
  OnnxValue returned_;  // by a body
  const bool is_body_;
  std::unordered_set<const Node*> failed_;
};

}  // namespace

absl::StatusOr<OnnxGraph> write_onnx_graph(const GraphModule& model, const ExportOptions& options,
                                           OnnxBuilder& builder) {
  Problems problems;
  return GraphWriter(model, options, builder, problems).write();
}

}  // namespace fxq
