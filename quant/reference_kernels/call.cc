// Reads a call: operands by their place in the node's arguments, scales from the nodes' types.
#include <ATen/core/function_schema.h>

#include "fxq/base/check.h"
#include "fxq/quant/reference_kernels/reference_kernel.h"

namespace fxq {
namespace {

// The value that stands in `value` where `wanted` stands in `argument`.
c10::IValue find_value(const Argument& argument, const c10::IValue& value, const Node* wanted) {
  if (argument.node() == wanted) return value;
  const std::vector<Argument>* items = argument.items();
  if (!items) return {};
  const bool is_list = value.isList();
  const auto values =
      is_list ? value.toListRef() : c10::ArrayRef<c10::IValue>(value.toTupleRef().elements());
  for (size_t i = 0; i < items->size(); ++i) {
    c10::IValue found = find_value((*items)[i], values[i], wanted);
    if (!found.isNone()) return found;
  }
  return {};
}

}  // namespace

at::Tensor ReferenceCall::operand(size_t i) const {
  const Node* wanted = view.operand(i);
  FXQ_CHECK(wanted != nullptr, "%" + node.name() + " has too few operands");
  for (size_t k = 0; k < args.size(); ++k) {
    c10::IValue found = find_value(node.args()[k], args[k], wanted);
    if (found.isTensor()) return found.toTensor();
  }
  for (size_t k = 0; k < kwargs.size(); ++k) {
    c10::IValue found = find_value(node.kwargs()[k].second, kwargs[k], wanted);
    if (found.isTensor()) return found.toTensor();
  }
  FXQ_CHECK(false, "%" + wanted->name() + " is no tensor argument of %" + node.name());
  return {};
}

std::vector<int64_t> ReferenceCall::ints(std::string_view name,
                                         std::vector<int64_t> otherwise) const {
  const Argument written = view.attr(name);
  if (written.is_none() || written.is_constant()) return view.attr_ints(name, std::move(otherwise));
  const auto numbers = [](const c10::IValue& value) {
    return value.isInt() ? std::vector<int64_t>{value.toInt()} : value.toIntVector();
  };
  for (size_t k = 0; k < kwargs.size(); ++k) {
    if (node.kwargs()[k].first == name) return numbers(kwargs[k]);
  }
  const auto& formals = node.schema()->arguments();
  for (size_t k = 0; k < args.size() && k < formals.size(); ++k) {
    if (formals[k].name() == name) return numbers(args[k]);
  }
  return otherwise;
}

double ReferenceCall::scale(size_t i) const {
  const Node* wanted = view.operand(i);
  return wanted && wanted->type.qparams ? wanted->type.qparams->scale : 1.0;
}

at::Tensor ReferenceCall::epilogue_add() const {
  for (size_t k = 0; k < kwargs.size(); ++k) {
    if (node.kwargs()[k].first == kEpilogueAdd) return kwargs[k].toTensor();
  }
  return {};
}

double ReferenceCall::output_scale() const {
  return node.type.qparams ? node.type.qparams->scale : 1.0;
}

DType ReferenceCall::output_dtype() const {
  return node.type.qparams && node.type.dtype ? *node.type.dtype : DType::kF32;
}

}  // namespace fxq
