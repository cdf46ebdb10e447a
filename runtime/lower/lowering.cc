// Node -> ValueId, in graph order; each lowered node appends steps that read values made before.
#include "fxq/runtime/lower/lowering.h"

#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include "fxq/base/status.h"
#include "fxq/graph/tensor_convert.h"

namespace fxq {
namespace {

ValueKind kind_of(const Type& type) {
  switch (type.kind) {
    case Type::Kind::kInt:
      return ValueKind::kInt;
    case Type::Kind::kFloat:
      return ValueKind::kFloat;
    case Type::Kind::kBool:
      return ValueKind::kBool;
    default:
      return ValueKind::kTensor;
  }
}

}  // namespace

absl::StatusOr<ValueId> Lowering::value(const Node* node) const {
  auto it = lowered_.find(node);
  if (it == lowered_.end() || it->second.kind != OutputTree::Kind::kValue) {
    return absl::InvalidArgumentError(
        fmt::format("%{} is {}, needs to be one value", node->name(), node->type.to_string()));
  }
  return it->second.value;
}

ValueId Lowering::tensor_value(const Type& type, std::string name) {
  Value value;
  value.name = std::move(name);
  value.kind = kind_of(type);
  value.dtype = type.dtype.value_or(DType::kF32);
  if (type.dims) value.rank = type.rank();
  value.qparams = type.qparams;
  return program_.add_value(std::move(value));
}

ValueId Lowering::register_value(ValueKind kind, std::string name) {
  Value value;
  value.name = std::move(name);
  value.kind = kind;
  return program_.add_value(std::move(value));
}

// Alive as long as the lowering, so that no other tensor takes its address.
struct Lowering::Constant {
  at::Tensor tensor;
  ValueId value;
};

absl::StatusOr<ValueId> Lowering::constant(const std::string& name, const at::Tensor& tensor) {
  auto found = constants_.find(tensor.unsafeGetTensorImpl());
  if (found != constants_.end()) return found->second->value;
  FXQ_ASSIGN_OR_RETURN(HostTensor host, to_host_tensor(tensor));
  std::string unique = name;
  for (int i = 1; program_.constants.count(unique) != 0; ++i) {
    unique = fmt::format("{}_{}", name, i);
  }
  const ValueId value = program_.add_constant(unique, std::move(host));
  constants_[tensor.unsafeGetTensorImpl()] = std::make_shared<Constant>(Constant{tensor, value});
  return value;
}

Step& Lowering::step(std::string kernel, const Node& node, std::vector<ValueId> inputs,
                     std::vector<ValueId> outputs) {
  Step step;
  step.kernel = std::move(kernel);
  step.name = node.name();
  step.inputs = std::move(inputs);
  step.outputs = std::move(outputs);
  program_.steps.push_back(std::move(step));
  return program_.steps.back();
}

Step& Lowering::node_step(std::string kernel, const Node& node, std::vector<ValueId> inputs) {
  const ValueId output = tensor_value(node.type, node.name());
  OutputTree tree;
  tree.value = output;
  set(&node, std::move(tree));
  return step(std::move(kernel), node, std::move(inputs), {output});
}

absl::StatusOr<ValueId> Lowering::scalar(const Node& node, Attr contents, ValueKind kind) {
  const ValueId id = register_value(kind, node.name() + ".constant");
  step("Scalar", node, {}, {id}).attrs["value"] = std::move(contents);
  return id;
}

absl::StatusOr<ValueId> Lowering::int_input(const Node& node, const Argument& argument) {
  if (argument.is_node()) return value(argument.node());
  if (const auto* integer = argument.get_if<int64_t>()) {
    return scalar(node, *integer, ValueKind::kInt);
  }
  const std::vector<Argument>* items = argument.items();
  if (!items) {
    return absl::UnimplementedError(fmt::format("{} is no size", argument.to_string()));
  }
  std::vector<ValueId> parts;
  for (const Argument& item : *items) {
    FXQ_ASSIGN_OR_RETURN(const ValueId part, int_input(node, item));
    parts.push_back(part);
  }
  const ValueId list = register_value(ValueKind::kInts, node.name() + ".sizes");
  step("Ints", node, std::move(parts), {list});
  return list;
}

absl::StatusOr<IntsAttr> Lowering::ints_attr(const OpView& view, std::string_view name, size_t axes,
                                             std::vector<int64_t> otherwise) {
  IntsAttr result;
  Argument argument = view.attr(name);
  if (argument.is_none() || argument.is_constant()) {
    result.known = view.attr_ints(name, std::move(otherwise));
    if (result.known.size() == 1 && axes > 0) result.known.resize(axes, result.known[0]);
    return result;
  }
  const std::vector<Argument>* items = argument.items();
  const bool single = items && items->size() == 1;
  if (single && axes > 0) argument = Argument::list(std::vector<Argument>(axes, items->front()));
  FXQ_ASSIGN_OR_RETURN(result.computed, int_input(*view.node(), argument));
  return result;
}

void IntsAttr::put(Step& step, const std::string& name) const {
  if (computed == kNoValue) {
    step.attrs[name] = known;
  } else {
    step.computed[name] = computed;
  }
}

double scale_ratio(const Type& a, const Type& b) {
  return static_cast<double>(a.qparams->scale) / static_cast<double>(b.qparams->scale);
}

std::string dtype_text(const Type& type) {
  return std::string(dtype_name(type.dtype.value_or(DType::kF32)));
}

void add_activation(Step& step, const Node& node) {
  const OpId activation = node.epilogue_activation();
  if (activation == OpId::kNone) return;
  step.attrs["activation"] = std::string(op_def(activation).name);
  if (activation != OpId::kRelu6) return;
  const double scale = node.type.qparams ? static_cast<double>(node.type.qparams->scale) : 1.0;
  step.attrs["clip_hi"] = static_cast<double>(static_cast<float>(6.0 / scale));
}

absl::Status keeps_state() {
  return absl::UnimplementedError(
      "it keeps a state from one call to the next, which a program does not; make the state an "
      "input and an output of the model");
}

}  // namespace fxq
