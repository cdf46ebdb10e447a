// For each node, in order: an integer op, and a float op that has a kernel -> its kernel's steps; a
// move -> the same on any dtype; else -> a float step of the provider. All problems are collected
// before anything is refused.
#include "fxq/runtime/lower/lower.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/function_schema.h>
#include <fmt/format.h>

#include "fxq/base/status.h"
#include "fxq/graph/tensor_convert.h"
#include "fxq/graph/weighted_bn_module.h"
#include "fxq/quant/reference_interpreter.h"
#include "fxq/quant/reference_kernels/through_float.h"
#include "fxq/runtime/lower/family.h"
#include "fxq/runtime/lower/loose_values.h"
#include "fxq/runtime/lower/lowering.h"

namespace fxq {
namespace {

absl::Status lower_placeholder(Lowering& lowering, const Node& node) {
  if (!node.type.is_tensor() && node.type.kind != Type::Kind::kUnknown) {
    return absl::UnimplementedError(
        fmt::format("input is {}; a program takes tensors only", node.type.to_string()));
  }
  OutputTree tree;
  tree.value = lowering.tensor_value(node.type, node.name());
  lowering.program().inputs.push_back(tree.value);
  lowering.set(&node, std::move(tree));
  return absl::OkStatus();
}

// Kernels read integer operands in storage order, constants are plain: an integer constant is a
// float one that a step quantizes; q * scale / scale rounds to q again.
absl::Status lower_integer_constant(Lowering& lowering, const Node& node) {
  const at::Tensor integers = lowering.graph_module().tensor(node.target());
  const auto scale = static_cast<float>(node.type.qparams->scale);
  FXQ_ASSIGN_OR_RETURN(const ValueId real,
                       lowering.constant(node.target(), integers.to(at::kFloat) * scale));
  Step& step = lowering.node_step("Quantize", node, {real});
  step.attrs["dtype"] = dtype_text(node.type);
  step.attrs["scale"] = static_cast<double>(node.type.qparams->scale);
  return absl::OkStatus();
}

absl::Status lower_get_attr(Lowering& lowering, const Node& node) {
  if (node.type.is_quantized()) return lower_integer_constant(lowering, node);
  OutputTree tree;
  FXQ_ASSIGN_OR_RETURN(
      tree.value, lowering.constant(node.target(), lowering.graph_module().tensor(node.target())));
  lowering.set(&node, std::move(tree));
  return absl::OkStatus();
}

bool touches_integers(const OpView& view) {
  if (holds_integers(view.node()->type)) return true;
  for (const Node* operand : view.operands()) {
    if (operand->type.is_quantized()) return true;
  }
  return false;
}

// A program's buffers are values: nothing else sees a write into one of them.
bool writes_in_place(const Node& node) {
  if (!node.is(NodeKind::kCallFunction) || !node.schema()) return false;
  for (const c10::Argument& argument : node.schema()->arguments()) {
    if (argument.alias_info() && argument.alias_info()->isWrite()) return true;
  }
  return false;
}

// What a call asks of a tensor. Integers that stand for reals answer as the reals.
absl::Status lower_question(Lowering& lowering, const OpView& view) {
  const Node& node = *view.node();
  const bool of_dtype = view.op() == OpId::kDTypeOf;
  const bool of_reals = of_dtype || view.op() == OpId::kIsFloatingPoint;
  if (!of_reals || !touches_integers(view)) return lower_float(lowering, node);
  OutputTree tree;
  if (of_dtype) {
    const int64_t number = scalar_type_number(DType::kF32);
    FXQ_ASSIGN_OR_RETURN(tree.value, lowering.scalar(node, number, ValueKind::kInt));
  } else {
    FXQ_ASSIGN_OR_RETURN(tree.value, lowering.scalar(node, true, ValueKind::kBool));
  }
  lowering.set(&node, std::move(tree));
  return absl::OkStatus();
}

bool reads(const Step& step, ValueId id) {
  const auto& inputs = step.inputs;
  if (std::find(inputs.begin(), inputs.end(), id) != inputs.end()) return true;
  return std::any_of(step.computed.begin(), step.computed.end(),
                     [&](const auto& attribute) { return attribute.second == id; });
}

// A number that sizes give must have reached the steps since `first`: a kernel that takes
// constants only would compute something else without it.
absl::Status check_numbers_are_read(const Lowering& lowering, const Node& node, size_t first) {
  const Program& program = lowering.program();
  for (const Node* input : node.inputs()) {
    const OutputTree& tree = lowering.tree(input);
    if (tree.kind != OutputTree::Kind::kValue || tree.value == kNoValue) continue;
    if (program.values[static_cast<size_t>(tree.value)].kind == ValueKind::kTensor) continue;
    const bool is_read =
        std::any_of(program.steps.begin() + static_cast<int64_t>(first), program.steps.end(),
                    [&](const Step& step) { return reads(step, tree.value); }) ||
        std::any_of(program.guards.begin(), program.guards.end(),
                    [&](const Guard& guard) { return guard.condition == tree.value; });
    if (is_read) continue;
    return absl::UnimplementedError(
        fmt::format("its argument %{} is computed while it runs, which its integer kernel takes "
                    "as a constant only",
                    input->name()));
  }
  return absl::OkStatus();
}

absl::Status lower_call(Lowering& lowering, const Node& node) {
  if (node.op() == OpId::kAssign) return keeps_state();
  if (writes_in_place(node)) {
    return absl::UnimplementedError(
        "writes into its argument in place, which a program cannot; assign a new tensor instead");
  }
  if (node.type.kind == Type::Kind::kDevice) return absl::OkStatus();  // a program's is the CPU
  const OpView view(lowering.graph_module(), &node);
  const LowerFamily family = lower_family(node.op());
  const bool any_dtype = view.def().moves || view.def().rule == Rule::kNotTensor;
  const bool fits = view.def().float_kernel.empty()
                        ? any_dtype || touches_integers(view)
                        : has_float_kernel(lowering.graph_module(), node);
  if (view.def().rule != Rule::kNotTensor && touches_integers(view) && runs_through_float(view)) {
    return lower_through_float(lowering, view);
  }
  if (family && fits) {
    const size_t first = lowering.program().steps.size();
    FXQ_RETURN_IF_ERROR(family(lowering, view));
    return check_numbers_are_read(lowering, node, first);
  }
  if (view.def().rule == Rule::kNotTensor) return lower_question(lowering, view);
  if (touches_integers(view)) {
    return absl::UnimplementedError("no integer kernel, and nothing dequantizes its input");
  }
  return lower_float(lowering, node);
}

absl::StatusOr<OutputTree> output_tree(Lowering& lowering, const Argument& argument) {
  OutputTree tree;
  if (argument.is_node()) return lowering.tree(argument.node());
  if (const auto* dict = argument.get_if<DictArg>()) {
    tree.kind = OutputTree::Kind::kDict;
    for (const auto& [key, value] : dict->items) {
      const auto* text = key.get_if<std::string>();
      tree.keys.push_back(text ? *text : key.to_string());
      FXQ_ASSIGN_OR_RETURN(OutputTree child, output_tree(lowering, value));
      tree.children.push_back(std::move(child));
    }
    return tree;
  }
  if (const std::vector<Argument>* items = argument.items()) {
    tree.kind = argument.is<ListArg>() ? OutputTree::Kind::kList : OutputTree::Kind::kTuple;
    for (const Argument& item : *items) {
      FXQ_ASSIGN_OR_RETURN(OutputTree child, output_tree(lowering, item));
      tree.children.push_back(std::move(child));
    }
    return tree;
  }
  if (!argument.is_none()) {
    return absl::UnimplementedError(
        fmt::format("the constant {} is no tensor output", argument.to_string()));
  }
  tree.kind = OutputTree::Kind::kNone;
  return tree;
}

absl::Status lower_node(Lowering& lowering, const Node& node) {
  switch (node.kind()) {
    case NodeKind::kPlaceholder:
      return lower_placeholder(lowering, node);
    case NodeKind::kGetAttr:
      return lower_get_attr(lowering, node);
    case NodeKind::kOutput: {
      FXQ_ASSIGN_OR_RETURN(lowering.program().output, output_tree(lowering, node.args()[0]));
      return absl::OkStatus();
    }
    case NodeKind::kCallMethod:
      return absl::UnimplementedError("methods have no steps");
    default:
      return lower_call(lowering, node);
  }
}

std::string describe(const Node& node, const absl::Status& status) {
  std::string text = fmt::format("%{} ({})", node.name(), node.target());
  if (!node.source.empty()) text += " at " + node.source;
  return text + ": " + std::string(status.message());
}

}  // namespace

absl::StatusOr<Program> lower(const GraphModule& model) {
  FXQ_RETURN_IF_ERROR(refuse_weighted_bn(model, "lower"));
  FXQ_ASSIGN_OR_RETURN(const std::optional<GraphModule> joined, join_loose_values(model));
  const GraphModule& gm = joined ? *joined : model;
  Lowering lowering(gm);
  std::vector<std::string> problems;
  std::unordered_map<const Node*, bool> failed;
  for (const Node* node : gm.graph().nodes()) {
    bool input_failed = false;
    for (const Node* input : node->inputs()) input_failed |= failed[input];
    failed[node] = input_failed;
    if (input_failed) continue;
    const absl::Status status = lower_node(lowering, *node);
    if (status.ok()) continue;
    failed[node] = true;
    problems.push_back(describe(*node, status));
  }
  if (!problems.empty()) {
    return absl::UnimplementedError(fmt::format("{} node(s) cannot be lowered:\n  {}",
                                                problems.size(), fmt::join(problems, "\n  ")));
  }
  FXQ_RETURN_IF_ERROR(lowering.program().verify());
  return std::move(lowering.program());
}

}  // namespace fxq
