// The same elements at other places: reshape, permute, slice, split, identity. These serve tensors
// of any dtype, so float islands need no provider for them.
#include "fxq/base/status.h"
#include "fxq/runtime/lower/family.h"
#include "fxq/runtime/lower/lowering.h"

namespace fxq {
namespace {

absl::Status reshape_to(Lowering& lowering, const OpView& view, const Argument& shape) {
  const Node& node = *view.node();
  FXQ_ASSIGN_OR_RETURN(const ValueId input, lowering.value(view.operand(0)));
  if (shape.is_constant()) {
    Step& step = lowering.node_step("Reshape", node, {input});
    step.attrs["op"] = std::string("reshape");
    step.attrs["shape"] = view.attr_ints(node.op() == OpId::kView ? "size" : "shape");
    return absl::OkStatus();
  }
  FXQ_ASSIGN_OR_RETURN(const ValueId ints, lowering.int_input(node, shape));
  Step& step = lowering.node_step("Reshape", node, {input, ints});
  step.attrs["op"] = std::string("reshape");
  return absl::OkStatus();
}

absl::Status flatten(Lowering& lowering, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const ValueId input, lowering.value(view.operand(0)));
  Step& step = lowering.node_step("Reshape", *view.node(), {input});
  step.attrs["op"] = std::string("flatten");
  step.attrs["start_dim"] = view.attr_int("start_dim");
  step.attrs["end_dim"] = view.attr_int("end_dim", -1);
  return absl::OkStatus();
}

absl::Status squeeze(Lowering& lowering, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const ValueId input, lowering.value(view.operand(0)));
  Step& step = lowering.node_step("Reshape", *view.node(), {input});
  step.attrs["op"] = std::string("squeeze");
  if (view.op() == OpId::kSqueezeDim) {
    step.attrs["dims"] = std::vector<int64_t>{view.attr_int("dim")};
  }
  return absl::OkStatus();
}

absl::Status unsqueeze(Lowering& lowering, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const ValueId input, lowering.value(view.operand(0)));
  Step& step = lowering.node_step("Reshape", *view.node(), {input});
  step.attrs["op"] = std::string("unsqueeze");
  step.attrs["dim"] = view.attr_int("dim");
  return absl::OkStatus();
}

// A bound of a slice: an attribute if constant (none: left out), else a register input.
absl::Status add_bound(Lowering& lowering, const OpView& view, std::string_view name,
                       std::vector<ValueId>& inputs, size_t index, Step& attributes) {
  const Argument bound = view.attr(name);
  if (bound.is_node()) {
    inputs.resize(std::max(inputs.size(), index + 1), kNoValue);
    FXQ_ASSIGN_OR_RETURN(inputs[index], lowering.value(bound.node()));
  } else if (!bound.is_none()) {
    attributes.attrs[std::string(name)] = view.attr_int(name);
  }
  return absl::OkStatus();
}

absl::Status select_part(Lowering& lowering, const OpView& view) {
  std::vector<ValueId> inputs(1);
  FXQ_ASSIGN_OR_RETURN(inputs[0], lowering.value(view.operand(0)));
  Step attributes;
  attributes.attrs["dim"] = view.attr_int("dim");
  if (view.op() == OpId::kSelect) {
    attributes.attrs["op"] = std::string("select");
    FXQ_RETURN_IF_ERROR(add_bound(lowering, view, "index", inputs, 1, attributes));
  } else {
    attributes.attrs["step"] = view.attr_int("step", 1);
    FXQ_RETURN_IF_ERROR(add_bound(lowering, view, "start", inputs, 1, attributes));
    FXQ_RETURN_IF_ERROR(add_bound(lowering, view, "end", inputs, 2, attributes));
  }
  lowering.node_step("Slice", *view.node(), std::move(inputs)).attrs = std::move(attributes.attrs);
  return absl::OkStatus();
}

// How many parts a split has: known for chunk sizes, else from the elements that somebody takes.
size_t count_parts(const Node& node) {
  if (node.type.kind == Type::Kind::kTuple) return node.type.elements.size();
  int64_t count = 0;
  for (const Node* user : node.users()) {
    const auto* index = user->op() == OpId::kGetItem && user->args().size() > 1
                            ? user->args()[1].get_if<int64_t>()
                            : nullptr;
    if (index) count = std::max(count, *index + 1);
  }
  return static_cast<size_t>(count);
}

}  // namespace

absl::Status lower_Reshape(Lowering& lowering, const OpView& view) {
  switch (view.op()) {
    case OpId::kFlatten:
      return flatten(lowering, view);
    case OpId::kView:
      return reshape_to(lowering, view, view.attr("size"));
    case OpId::kUnsqueeze:
      return unsqueeze(lowering, view);
    case OpId::kSqueeze:
    case OpId::kSqueezeDim:
      return squeeze(lowering, view);
    default:
      break;
  }
  return reshape_to(lowering, view, view.attr("shape"));
}

absl::Status lower_Permute(Lowering& lowering, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const ValueId input, lowering.value(view.operand(0)));
  Step& step = lowering.node_step("Permute", *view.node(), {input});
  if (view.op() == OpId::kTranspose) {
    step.attrs["swap"] = std::vector<int64_t>{view.attr_int("dim0"), view.attr_int("dim1")};
  } else {
    step.attrs["dims"] = view.attr_ints("dims");
  }
  return absl::OkStatus();
}

absl::Status lower_ChannelShuffle(Lowering& lowering, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const ValueId input, lowering.value(view.operand(0)));
  lowering.node_step("ChannelShuffle", *view.node(), {input}).attrs["groups"] =
      view.attr_int("groups");
  return absl::OkStatus();
}

absl::Status lower_Slice(Lowering& lowering, const OpView& view) {
  return select_part(lowering, view);
}

// ATen cuts pieces of one size, rounded up, and so may give fewer than it was asked for.
size_t count_chunks(const OpView& view) {
  const int64_t chunks = view.attr_int("chunks");
  const Type& type = view.operand(0)->type;
  if (!type.dims || chunks < 1) return static_cast<size_t>(chunks);
  const int64_t dim = view.attr_int("dim");
  const Dim& extent = type.dims->at(static_cast<size_t>(dim < 0 ? dim + type.rank() : dim));
  if (!extent.is_known() || extent.size == 0) return static_cast<size_t>(chunks);
  const int64_t piece = (extent.size + chunks - 1) / chunks;
  return static_cast<size_t>((extent.size + piece - 1) / piece);
}

namespace {

struct SplitPlan {
  Step attributes;
  size_t parts = 0;
};

absl::StatusOr<SplitPlan> plan_split(Lowering& lowering, const OpView& view) {
  SplitPlan plan;
  plan.parts = count_parts(*view.node());
  plan.attributes.attrs["dim"] = view.attr_int("dim");
  if (view.op() == OpId::kChunk) {
    plan.attributes.attrs["chunks"] = view.attr_int("chunks");
    plan.parts = count_chunks(view);
    return plan;
  }
  if (view.op() == OpId::kSplitWithSizes) {
    const Argument given = view.attr("split_sizes");
    if (given.items()) plan.parts = given.items()->size();
    FXQ_ASSIGN_OR_RETURN(const IntsAttr sizes, lowering.ints_attr(view, "split_sizes"));
    sizes.put(plan.attributes, "sizes");
    return plan;
  }
  const Argument size = view.attr("split_size");
  if (size.is_node()) {
    FXQ_ASSIGN_OR_RETURN(plan.attributes.computed["split_size"], lowering.value(size.node()));
  } else {
    plan.attributes.attrs["split_size"] = view.attr_int("split_size");
  }
  return plan;
}

}  // namespace

absl::Status lower_Split(Lowering& lowering, const OpView& view) {
  const Node& node = *view.node();
  FXQ_ASSIGN_OR_RETURN(const ValueId input, lowering.value(view.operand(0)));
  FXQ_ASSIGN_OR_RETURN(SplitPlan plan, plan_split(lowering, view));
  OutputTree tree;
  tree.kind = OutputTree::Kind::kList;
  std::vector<ValueId> outputs;
  Type part = view.operand(0)->type;
  part.dims.reset();
  for (size_t i = 0; i < plan.parts; ++i) {
    outputs.push_back(lowering.tensor_value(part, node.name() + "." + std::to_string(i)));
    tree.children.push_back({OutputTree::Kind::kValue, outputs.back(), {}, {}});
  }
  Step& step = lowering.step("Split", node, {input}, outputs);
  step.attrs = std::move(plan.attributes.attrs);
  step.computed = std::move(plan.attributes.computed);
  lowering.set(&node, std::move(tree));
  return absl::OkStatus();
}

// No step at all: another name for the same value.
absl::Status lower_Identity(Lowering& lowering, const OpView& view) {
  lowering.set(view.node(), lowering.tree(view.operand(0)));
  return absl::OkStatus();
}

}  // namespace fxq
