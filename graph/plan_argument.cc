// (%x, [1, %n]) -> slots and constants with IValue types fixed once, evaluated at each run.
#include "fxq/graph/plan_argument.h"

#include <ATen/core/Dict.h>

#include "fxq/graph/ivalue_convert.h"

namespace fxq {
namespace {

c10::TypePtr element_of(c10::TypePtr type) {
  type = without_optional(std::move(type));
  if (!type || type->kind() != c10::TypeKind::ListType) return nullptr;
  return type->expectRef<c10::ListType>().getElementType();
}

std::vector<c10::IValue> evaluate_all(const std::vector<PlanArgument>& arguments,
                                      const std::vector<c10::IValue>& slots) {
  std::vector<c10::IValue> values;
  values.reserve(arguments.size());
  for (const PlanArgument& argument : arguments) values.push_back(argument.evaluate(slots));
  return values;
}

c10::IValue make_dict(const std::vector<c10::IValue>& flat) {
  const c10::TypePtr key = flat.empty() ? c10::TypePtr(c10::StringType::get()) : flat[0].type();
  const bool tensors = flat.empty() || flat[1].isTensor();
  c10::impl::GenericDict dict(key, tensors ? c10::TypePtr(c10::TensorType::get()) : flat[1].type());
  for (size_t i = 0; i + 1 < flat.size(); i += 2) dict.insert(flat[i], flat[i + 1]);
  return dict;
}

}  // namespace

PlanArgument::PlanArgument(const Argument& argument, const c10::TypePtr& type,
                           const SlotMap& slots) {
  if (const Node* node = argument.node()) {
    kind_ = Kind::kSlot;
    slot_ = slots.at(node);
    return;
  }
  if (argument.is_constant() && !argument.is<SliceArg>()) {
    constant_ = to_ivalue_as(argument, type);
    return;
  }
  if (const std::vector<Argument>* items = argument.items()) {
    element_ = element_of(type);
    kind_ = argument.is<ListArg>() || element_ ? Kind::kList : Kind::kTuple;
    for (const Argument& item : *items) children_.emplace_back(item, element_, slots);
  } else if (const auto* slice = argument.get_if<SliceArg>()) {
    kind_ = Kind::kTuple;
    for (const Argument& part : slice->parts) children_.emplace_back(part, nullptr, slots);
  } else if (const auto* dict = argument.get_if<DictArg>()) {
    kind_ = Kind::kDict;
    for (const auto& [key, value] : dict->items) {
      children_.emplace_back(key, nullptr, slots);
      children_.emplace_back(value, nullptr, slots);
    }
  }
}

c10::IValue PlanArgument::evaluate(const std::vector<c10::IValue>& slots) const {
  switch (kind_) {
    case Kind::kSlot:
      return slots[static_cast<size_t>(slot_)];
    case Kind::kConstant:
      return constant_;
    case Kind::kList:
      return make_list(evaluate_all(children_, slots), element_);
    case Kind::kTuple:
      return c10::ivalue::Tuple::create(evaluate_all(children_, slots));
    case Kind::kDict:
      break;
  }
  return make_dict(evaluate_all(children_, slots));
}

}  // namespace fxq
