// Sizes, integer arithmetic and conditions on them become registers, known once the input shapes
// are; a guard becomes the program's; getitem picks from what a list or tuple became.
#include <fmt/format.h>

#include "fxq/base/status.h"
#include "fxq/runtime/lower/family.h"
#include "fxq/runtime/lower/lowering.h"

namespace fxq {
namespace {

void set_value(Lowering& lowering, const Node& node, ValueId value) {
  OutputTree tree;
  tree.value = value;
  lowering.set(&node, std::move(tree));
}

Step& register_step(Lowering& lowering, const Node& node, ValueKind kind, std::string kernel,
                    std::vector<ValueId> inputs) {
  const ValueId output = lowering.register_value(kind, node.name());
  set_value(lowering, node, output);
  return lowering.step(std::move(kernel), node, std::move(inputs), {output});
}

absl::StatusOr<ValueId> scalar_input(Lowering& lowering, const Node& node,
                                     const Argument& argument) {
  const bool* flag = argument.get_if<bool>();
  return flag ? lowering.scalar(node, *flag, ValueKind::kBool) : lowering.int_input(node, argument);
}

// "floordiv_int" -> "floordiv"
std::string arithmetic_name(OpId op) {
  const std::string name(op_def(op).name);
  return name.substr(0, name.rfind('_'));
}

absl::Status lower_scalars(Lowering& lowering, const Node& node, ValueKind kind,
                           std::string kernel) {
  std::vector<ValueId> inputs;
  for (const Argument& argument : node.args()) {
    FXQ_ASSIGN_OR_RETURN(const ValueId input, scalar_input(lowering, node, argument));
    inputs.push_back(input);
  }
  register_step(lowering, node, kind, std::move(kernel), std::move(inputs)).attrs["op"] =
      arithmetic_name(node.op());
  return absl::OkStatus();
}

}  // namespace

absl::Status lower_Size(Lowering& lowering, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const ValueId input, lowering.value(view.operand(0)));
  std::vector<ValueId> inputs{input};
  const Argument dim = view.attr("dim");
  if (dim.is_node()) {
    FXQ_ASSIGN_OR_RETURN(const ValueId index, lowering.value(dim.node()));
    inputs.push_back(index);
  }
  Step& step = register_step(lowering, *view.node(), ValueKind::kInt, "Size", std::move(inputs));
  if (!dim.is_node()) step.attrs["dim"] = view.attr_int("dim");
  return absl::OkStatus();
}

absl::Status lower_Sizes(Lowering& lowering, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const ValueId input, lowering.value(view.operand(0)));
  register_step(lowering, *view.node(), ValueKind::kInts, "Sizes", {input});
  return absl::OkStatus();
}

absl::Status lower_GetItem(Lowering& lowering, const OpView& view) {
  const Node& node = *view.node();
  const Node* container = node.args().at(0).node();
  const auto* index = node.args().at(1).get_if<int64_t>();
  if (!container) return absl::UnimplementedError("getitem of a constant");
  const OutputTree& tree = lowering.tree(container);
  if (tree.kind == OutputTree::Kind::kValue) {
    const ValueId list = tree.value;
    if (lowering.program().values[static_cast<size_t>(list)].kind != ValueKind::kInts || !index) {
      return absl::UnimplementedError("getitem of something that is no list, tuple or shape");
    }
    register_step(lowering, node, ValueKind::kInt, "GetItem", {list}).attrs["index"] = *index;
    return absl::OkStatus();
  }
  const auto size = static_cast<int64_t>(tree.children.size());
  const auto* key = node.args()[1].get_if<std::string>();
  for (size_t i = 0; key && i < tree.keys.size(); ++i) {
    if (tree.keys[i] != *key) continue;
    lowering.set(&node, OutputTree(tree.children[i]));
    return absl::OkStatus();
  }
  const int64_t at = index && *index < 0 ? *index + size : index ? *index : size;
  if (at < 0 || at >= size) {
    return absl::InvalidArgumentError(
        fmt::format("{} is no index of {} elements", node.args()[1].to_string(), size));
  }
  lowering.set(&node, OutputTree(tree.children[static_cast<size_t>(at)]));
  return absl::OkStatus();
}

absl::Status lower_IntArithmetic(Lowering& lowering, const OpView& view) {
  return lower_scalars(lowering, *view.node(), ValueKind::kInt, "IntArithmetic");
}

absl::Status lower_Compare(Lowering& lowering, const OpView& view) {
  return lower_scalars(lowering, *view.node(), ValueKind::kBool, "Compare");
}

absl::Status lower_Logic(Lowering& lowering, const OpView& view) {
  return lower_scalars(lowering, *view.node(), ValueKind::kBool, "Logic");
}

absl::Status lower_Guard(Lowering& lowering, const OpView& view) {
  const Node& node = *view.node();
  Guard guard;
  FXQ_ASSIGN_OR_RETURN(guard.condition, scalar_input(lowering, node, node.args().at(0)));
  guard.message = node.args().at(1).get<std::string>();
  lowering.program().guards.push_back(std::move(guard));
  return absl::OkStatus();
}

}  // namespace fxq
