// TorchScript's static types as fxq's: Tensor -> tensor, Tuple[int, Tensor] -> (int, tensor).
#include <ATen/core/jit_type.h>

#include "fxq/tracer/emitter.h"

namespace fxq {
namespace {

Type container(Type::Kind kind, const c10::TypePtr& element) {
  Type type = Type::of(kind);
  type.elements.push_back(node_type(element));
  return type;
}

}  // namespace

Type node_type(const c10::TypePtr& type) {
  if (!type) return {};
  switch (type->kind()) {
    case c10::TypeKind::TensorType:
      return Type::tensor();
    case c10::TypeKind::IntType:
      return Type::of(Type::Kind::kInt);
    case c10::TypeKind::FloatType:
      return Type::of(Type::Kind::kFloat);
    case c10::TypeKind::BoolType:
      return Type::of(Type::Kind::kBool);
    case c10::TypeKind::StringType:
      return Type::of(Type::Kind::kStr);
    case c10::TypeKind::NoneType:
      return Type::of(Type::Kind::kNone);
    case c10::TypeKind::DeviceObjType:
      return Type::of(Type::Kind::kDevice);
    case c10::TypeKind::ListType:
      return container(Type::Kind::kList, type->containedTypes()[0]);
    case c10::TypeKind::DictType:
      return container(Type::Kind::kDict, type->containedTypes()[1]);
    case c10::TypeKind::OptionalType:
      return container(Type::Kind::kOptional, type->containedTypes()[0]);
    case c10::TypeKind::TupleType: {
      std::vector<Type> elements;
      for (const c10::TypePtr& element : type->containedTypes()) {
        elements.push_back(node_type(element));
      }
      return Type::tuple(std::move(elements));
    }
    default:
      return {};
  }
}

void remove_dead_nodes(GraphModule& gm) {
  for (Node* node = gm.graph().last(); node;) {
    Node* previous = node->prev();
    if (node->users().empty() && !is_impure(*node)) gm.graph().erase(node).IgnoreError();
    node = previous;
  }
  gm.remove_unused();
}

}  // namespace fxq
