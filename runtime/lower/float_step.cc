// A float call -> one step "aten": attrs schema and args (aten_arguments.h); module tensors are
// constants among its inputs. Its epilogue becomes steps of their own. An opaque module travels as
// its TorchScript file in a u8 constant.
#include <ATen/core/Tensor.h>
#include <ATen/core/function_schema.h>
#include <fmt/format.h>

#include <algorithm>

#include "fxq/base/status.h"
#include "fxq/graph/ivalue_convert.h"
#include "fxq/graph/naming.h"
#include "fxq/graph/op_module.h"
#include "fxq/graph/opaque_module.h"
#include "fxq/runtime/lower/aten_arguments.h"
#include "fxq/runtime/lower/family.h"
#include "fxq/runtime/lower/lowering.h"
#include "fxq/runtime/lower/script_bytes.h"

namespace fxq {
namespace {

// Collects a step's inputs while its arguments are encoded.
class Inputs {
 public:
  explicit Inputs(Lowering& lowering) : lowering_(lowering) {}

  absl::StatusOr<int> add(const Node* node) {
    FXQ_ASSIGN_OR_RETURN(const ValueId value, lowering_.value(node));
    ids_.push_back(value);
    return static_cast<int>(ids_.size()) - 1;
  }
  absl::StatusOr<std::string> add_constant(const std::string& name, const at::Tensor& tensor) {
    if (!tensor.defined()) return std::string("null");
    FXQ_ASSIGN_OR_RETURN(const ValueId value, lowering_.constant(name, tensor));
    ids_.push_back(value);
    return fmt::format(R"({{"input":{}}})", ids_.size() - 1);
  }
  absl::StatusOr<std::string> encode(const Argument& argument) {
    auto index = [this](const Node* node) { return add(node); };
    const Argument known = argument.map_nodes([](Node* node) {
      return node->type.kind == Type::Kind::kDevice ? Argument(Device{}) : Argument(node);
    });
    FXQ_ASSIGN_OR_RETURN(const std::string list, encode_arguments({known}, index));
    return list.substr(1, list.size() - 2);
  }
  std::vector<ValueId> take() { return std::move(ids_); }

 private:
  Lowering& lowering_;
  std::vector<ValueId> ids_;
};

// One argument of a module's op: its tensor, its attribute, the mode, or the node's next operand.
absl::StatusOr<std::string> module_argument(Inputs& inputs, const Node& node,
                                            const OpModule& module, const c10::Argument& declared,
                                            size_t& operand) {
  const std::string& name = declared.name();
  for (const auto& [key, tensor] : module.tensors()) {
    if (key == name) return inputs.add_constant(fmt::format("{}.{}", node.target(), name), tensor);
  }
  if (const Argument* attribute = module.attribute(name)) return inputs.encode(*attribute);
  if (is_mode_argument(name)) return std::string("false");
  if (operand < node.args().size()) return inputs.encode(node.args()[operand++]);
  if (!declared.default_value()) {
    return absl::InvalidArgumentError(fmt::format("needs an argument '{}'", name));
  }
  return inputs.encode(to_argument(*declared.default_value()).value_or(Argument()));
}

absl::StatusOr<std::string> function_argument(Inputs& inputs, const Node& node, size_t index) {
  const c10::Argument& declared = node.schema()->arguments()[index];
  if (node.follows_mode && is_mode_argument(declared.name())) return std::string("false");
  if (index < node.args().size()) return inputs.encode(node.args()[index]);
  if (const Argument* named = node.kwarg(declared.name())) return inputs.encode(*named);
  if (!declared.default_value()) {
    return absl::InvalidArgumentError(fmt::format("needs an argument '{}'", declared.name()));
  }
  return inputs.encode(to_argument(*declared.default_value()).value_or(Argument()));
}

absl::StatusOr<std::string> encoded_call(Lowering& lowering, Inputs& inputs, const Node& node) {
  const OpModule* module = lowering.graph_module().op_module(node);
  std::vector<std::string> parts;
  size_t operand = 0;
  for (size_t i = 0; i < node.schema()->arguments().size(); ++i) {
    const c10::Argument& declared = node.schema()->arguments()[i];
    auto part = module ? module_argument(inputs, node, *module, declared, operand)
                       : function_argument(inputs, node, i);
    if (!part.ok()) return part.status();
    parts.push_back(*std::move(part));
  }
  return fmt::format("[{}]", fmt::join(parts, ","));
}

// Values for everything that the call returns; lists count the elements that somebody takes.
OutputTree result_tree(Lowering& lowering, const Type& type, const std::string& name,
                       const Node& node, std::vector<ValueId>& outputs) {
  OutputTree tree;
  std::vector<Type> elements = type.elements;
  if (type.kind == Type::Kind::kList && elements.at(0).kind == Type::Kind::kInt) {
    tree.value = lowering.register_value(ValueKind::kInts, name);
    outputs.push_back(tree.value);
    return tree;
  }
  if (type.kind == Type::Kind::kList) {
    size_t count = 0;
    for (const Node* user : node.users()) {
      const auto* index = user->args().size() > 1 ? user->args()[1].get_if<int64_t>() : nullptr;
      if (index) count = std::max(count, static_cast<size_t>(*index + 1));
    }
    elements.assign(count, elements.at(0));
    tree.kind = OutputTree::Kind::kList;
  } else if (type.kind == Type::Kind::kTuple) {
    tree.kind = OutputTree::Kind::kTuple;
  } else {
    tree.value = lowering.tensor_value(type, name);
    outputs.push_back(tree.value);
    return tree;
  }
  for (size_t i = 0; i < elements.size(); ++i) {
    tree.children.push_back(
        result_tree(lowering, elements[i], fmt::format("{}.{}", name, i), node, outputs));
  }
  return tree;
}

// What the schema says where nothing has been run.
Type result_type(const Node& node) {
  if (node.type.kind != Type::Kind::kUnknown || !node.schema()) return node.type;
  const size_t count = node.schema()->returns().size();
  if (count <= 1) return Type::tensor();
  return Type::tuple(std::vector<Type>(count, Type::tensor()));
}

bool is_scalar(const Type& type) {
  return type.kind == Type::Kind::kInt || type.kind == Type::Kind::kFloat ||
         type.kind == Type::Kind::kBool;
}

bool reads_tensors(const Lowering& lowering, const std::vector<ValueId>& inputs) {
  return std::any_of(inputs.begin(), inputs.end(), [&](ValueId id) {
    const Value& value = lowering.program().values[static_cast<size_t>(id)];
    return value.kind == ValueKind::kTensor && value.constant.empty();
  });
}

// Lists of numbers are registers, computed before any data is there.
absl::Status check_storable(const Lowering& lowering, const Node& node, const Type& type,
                            const std::vector<ValueId>& inputs) {
  const bool numbers = type.kind == Type::Kind::kList && is_scalar(type.elements.at(0));
  const bool known = op_def(node.op()).rule == Rule::kNotTensor || !reads_tensors(lowering, inputs);
  if (!numbers || known) return absl::OkStatus();
  return absl::UnimplementedError(
      "gives a list of numbers that depends on the data; a program needs it beforehand: compute it "
      "from shapes, or keep what uses it in one leaf module");
}

// A number that is read out of tensors is no register, which would be computed before any data is
// there: it stays a 0-d tensor, and whoever takes it as a number reads it there (AtenCall).
Type as_tensor(Type type) {
  if (type.kind == Type::Kind::kTuple) {
    for (Type& element : type.elements) element = as_tensor(std::move(element));
  }
  if (!is_scalar(type)) return type;
  const bool is_int = type.kind == Type::Kind::kInt;
  return Type::tensor(type.kind == Type::Kind::kFloat ? DType::kF64
                      : is_int                        ? DType::kI64
                                                      : DType::kBool,
                      {});
}

Type stored_type(const Lowering& lowering, const Node& node, const Type& type,
                 const std::vector<ValueId>& inputs) {
  if (op_def(node.op()).rule == Rule::kNotTensor || !reads_tensors(lowering, inputs)) return type;
  return as_tensor(type);
}

struct FloatCall {
  std::string schema;
  std::string args;
  std::vector<ValueId> inputs;
};

absl::StatusOr<FloatCall> script_call(Lowering& lowering, const Node& node) {
  const auto opaque =
      std::dynamic_pointer_cast<OpaqueModule>(lowering.graph_module().module(node.target()));
  if (!opaque) return absl::UnimplementedError("its module has no operator");
  if (opaque->keeps_state()) return keeps_state();
  FXQ_ASSIGN_OR_RETURN(const at::Tensor bytes, script_to_bytes(opaque->script_module()));
  Inputs inputs(lowering);
  FXQ_RETURN_IF_ERROR(inputs.add_constant(node.target() + ".torchscript", bytes).status());
  std::vector<std::string> parts;
  for (const Argument& argument : node.args()) {
    FXQ_ASSIGN_OR_RETURN(std::string part, inputs.encode(argument));
    parts.push_back(std::move(part));
  }
  return FloatCall{"fxq::torchscript", fmt::format("[{}]", fmt::join(parts, ",")), inputs.take()};
}

absl::StatusOr<FloatCall> operator_call(Lowering& lowering, const Node& node) {
  Inputs inputs(lowering);
  FXQ_ASSIGN_OR_RETURN(std::string args, encoded_call(lowering, inputs, node));
  const c10::FunctionSchema& schema = *node.schema();
  std::string name = schema.name();
  if (!schema.overload_name().empty()) name += "." + schema.overload_name();
  return FloatCall{std::move(name), std::move(args), inputs.take()};
}

ValueId add_float_step(Lowering& lowering, const Node& node, const std::string& op,
                       std::vector<ValueId> inputs, std::string args) {
  const DType dtype = node.type.dtype.value_or(DType::kF32);
  const ValueId output = lowering.tensor_value(Type::tensor(dtype), node.name());
  Step& step = lowering.step("aten", node, std::move(inputs), {output});
  step.attrs["schema"] = op;
  step.attrs["args"] = std::move(args);
  return output;
}

// y = activation(base + add)
absl::Status lower_epilogue(Lowering& lowering, const Node& node) {
  const Node* add = node.epilogue_add();
  const OpId activation = node.epilogue_activation();
  if (!add && activation == OpId::kNone) return absl::OkStatus();
  FXQ_ASSIGN_OR_RETURN(ValueId value, lowering.value(&node));
  if (add) {
    FXQ_ASSIGN_OR_RETURN(const ValueId other, lowering.value(add));
    value = add_float_step(lowering, node, std::string(op_def(OpId::kAdd).overloads[0]),
                           {value, other}, R"([{"input":0},{"input":1},1])");
  }
  if (activation != OpId::kNone) {
    value = add_float_step(lowering, node, std::string(op_def(activation).overloads[0]), {value},
                           R"([{"input":0}])");
  }
  OutputTree tree;
  tree.value = value;
  lowering.set(&node, std::move(tree));
  return absl::OkStatus();
}

}  // namespace

absl::Status lower_float(Lowering& lowering, const Node& node, const Type* result) {
  FXQ_ASSIGN_OR_RETURN(FloatCall call,
                       node.schema() ? operator_call(lowering, node) : script_call(lowering, node));
  std::vector<ValueId> outputs;
  const Type type = stored_type(lowering, node, result ? *result : result_type(node), call.inputs);
  FXQ_RETURN_IF_ERROR(check_storable(lowering, node, type, call.inputs));
  OutputTree tree = result_tree(lowering, type, node.name(), node, outputs);
  Step& step = lowering.step("aten", node, std::move(call.inputs), std::move(outputs));
  step.attrs["schema"] = std::move(call.schema);
  step.attrs["args"] = std::move(call.args);
  lowering.set(&node, std::move(tree));
  return lower_epilogue(lowering, node);
}

}  // namespace fxq
