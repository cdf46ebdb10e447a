// Operators by schema: LibTorch's dispatcher, else the TorchScript registry, else fxq's own few.
#include <ATen/core/dispatch/Dispatcher.h>
#include <fmt/format.h>
#include <torch/csrc/jit/runtime/operator.h>

#include "fxq/graph/interpreter.h"

namespace fxq {
namespace {

using Stack = std::vector<c10::IValue>;

c10::IValue packed(Stack stack) {
  if (stack.empty()) return {};
  if (stack.size() == 1) return std::move(stack[0]);
  return c10::ivalue::Tuple::create(std::move(stack));
}

c10::IValue index_into(const c10::IValue& container, const c10::IValue& index) {
  if (container.isGenericDict()) return container.toGenericDict().at(index);
  const bool is_list = container.isList();
  TORCH_CHECK(is_list || container.isTuple(), "getitem wants a list, tuple or dict, got ",
              container.tagKind());
  const auto items = is_list ? container.toListRef()
                             : c10::ArrayRef<c10::IValue>(container.toTupleRef().elements());
  const int64_t size = static_cast<int64_t>(items.size());
  const int64_t at = index.toInt() < 0 ? index.toInt() + size : index.toInt();
  TORCH_CHECK(at >= 0 && at < size, "index ", index.toInt(), " is outside of ", size, " elements");
  return items[static_cast<size_t>(at)];
}

absl::StatusOr<c10::IValue> call_own(const c10::FunctionSchema& schema, Stack arguments) {
  switch (op_from_overload(schema.name())) {
    case OpId::kGetItem:
      return index_into(arguments[0], arguments[1]);
    case OpId::kAssign:
      arguments[0].toTensor().set_data(arguments[1].toTensor().detach());
      return c10::IValue();
    case OpId::kGuard:
      if (arguments[0].toBool()) return c10::IValue();
      return absl::InvalidArgumentError(
          fmt::format("the model does not accept this input: {}", arguments[1].toStringRef()));
    case OpId::kIdentity:
    case OpId::kQuantStub:
    case OpId::kDeQuantStub:
      return arguments[0];
    default:
      break;
  }
  return absl::FailedPreconditionError(
      fmt::format("{} has integers; it runs in a QuantizedGraph only", schema.name()));
}

void fill_defaults(const c10::FunctionSchema& schema, Stack& arguments) {
  const auto& declared = schema.arguments();
  for (size_t i = arguments.size(); i < declared.size(); ++i) {
    TORCH_CHECK(declared[i].default_value().has_value(), schema.name(), " needs an argument '",
                declared[i].name(), "'");
    arguments.push_back(*declared[i].default_value());
  }
}

bool call_registered(const c10::FunctionSchema& schema, Stack& stack) {
  for (const auto& op :
       torch::jit::getAllOperatorsFor(c10::Symbol::fromQualString(schema.name()))) {
    if (op->schema().overload_name() != schema.overload_name()) continue;
    if (schema.is_vararg()) stack.push_back(static_cast<int64_t>(stack.size()));
    torch::jit::Operation operation = op->getOperation();
    operation(stack);
    return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<c10::IValue> call_schema(const c10::FunctionSchema& schema, Stack arguments) {
  if (is_own(schema)) return call_own(schema, std::move(arguments));
  if (!schema.is_vararg()) fill_defaults(schema, arguments);
  if (auto handle = c10::Dispatcher::singleton().findSchema(schema.operator_name())) {
    handle->callBoxed(&arguments);
    return packed(std::move(arguments));
  }
  if (call_registered(schema, arguments)) return packed(std::move(arguments));
  return absl::NotFoundError(fmt::format("LibTorch has no operator {}", schema.name()));
}

}  // namespace fxq
