// IValue -> Value and back.
#include "fxq/tracer/value.h"

#include <ATen/core/Dict.h>
#include <ATen/core/List.h>

namespace fxq {
namespace {

c10::TypePtr contained(const c10::TypePtr& type, size_t index) {
  if (!type || index >= type->containedTypes().size()) return nullptr;
  return type->containedTypes()[index];
}

ValuePtr from_items(Value::Kind kind, c10::ArrayRef<c10::IValue> items, const c10::TypePtr& type) {
  std::vector<ValuePtr> values;
  for (size_t i = 0; i < items.size(); ++i) {
    values.push_back(from_ivalue(items[i], contained(type, kind == Value::Kind::kTuple ? i : 0)));
  }
  return make_items(kind, std::move(values), type);
}

ValuePtr from_dict(const c10::IValue& constant, const c10::TypePtr& type) {
  ValuePtr dict = make_items(Value::Kind::kDict, {}, type);
  for (const auto& entry : constant.toGenericDict()) {
    dict->keys.push_back(from_ivalue(entry.key(), contained(type, 0)));
    dict->items.push_back(from_ivalue(entry.value(), contained(type, 1)));
  }
  return dict;
}

c10::optional<c10::IValue> list_to_ivalue(const Value& value) {
  c10::TypePtr element = contained(value.type, 0);
  std::vector<c10::IValue> items;
  for (const ValuePtr& item : value.items) {
    auto constant = to_ivalue(*item);
    if (!constant) return c10::nullopt;
    items.push_back(*std::move(constant));
  }
  if (!element) element = items.empty() ? c10::TypePtr(c10::IntType::get()) : items[0].type();
  c10::impl::GenericList list(element);
  for (c10::IValue& item : items) list.push_back(std::move(item));
  return c10::IValue(std::move(list));
}

c10::optional<c10::IValue> tuple_to_ivalue(const Value& value) {
  std::vector<c10::IValue> items;
  for (const ValuePtr& item : value.items) {
    auto constant = to_ivalue(*item);
    if (!constant) return c10::nullopt;
    items.push_back(*std::move(constant));
  }
  return c10::IValue(c10::ivalue::Tuple::create(std::move(items)));
}

c10::optional<c10::IValue> dict_to_ivalue(const Value& value) {
  if (!value.type) return c10::nullopt;
  c10::impl::GenericDict dict(contained(value.type, 0), contained(value.type, 1));
  for (size_t i = 0; i < value.keys.size(); ++i) {
    auto key = to_ivalue(*value.keys[i]);
    auto item = to_ivalue(*value.items[i]);
    if (!key || !item) return c10::nullopt;
    dict.insert(*std::move(key), *std::move(item));
  }
  return c10::IValue(std::move(dict));
}

}  // namespace

ValuePtr make_constant(c10::IValue constant, c10::TypePtr type) {
  auto value = std::make_shared<Value>();
  value->kind = Value::Kind::kConstant;
  value->constant = std::move(constant);
  value->type = std::move(type);
  return value;
}

ValuePtr make_node_value(Node* node, c10::TypePtr type) {
  auto value = std::make_shared<Value>();
  value->kind = Value::Kind::kNode;
  value->node = node;
  value->type = std::move(type);
  value->storage = std::make_shared<Storage>();
  value->storage->values.push_back(value);
  return value;
}

ValuePtr make_items(Value::Kind kind, std::vector<ValuePtr> items, c10::TypePtr type) {
  auto value = std::make_shared<Value>();
  value->kind = kind;
  value->items = std::move(items);
  if (type && type->kind() == c10::TypeKind::TupleType) {
    const auto& schema = type->expectRef<c10::TupleType>().schema();
    if (schema) {
      for (const c10::Argument& field : schema->arguments()) value->names.push_back(field.name());
    }
  }
  value->type = std::move(type);
  return value;
}

ValuePtr make_poison(std::string reason) {
  auto value = std::make_shared<Value>();
  value->reason = std::move(reason);
  return value;
}

ValuePtr from_ivalue(const c10::IValue& constant, const c10::TypePtr& type) {
  c10::TypePtr known = type;
  if (known && known->kind() == c10::TypeKind::OptionalType) known = contained(known, 0);
  if (constant.isList()) {
    if (!known || known->kind() != c10::TypeKind::ListType) known = constant.type();
    return from_items(Value::Kind::kList, constant.toListRef(), known);
  }
  if (constant.isTuple()) {
    if (!known || known->kind() != c10::TypeKind::TupleType) known = constant.type();
    return from_items(Value::Kind::kTuple, constant.toTupleRef().elements(), known);
  }
  if (constant.isGenericDict()) {
    if (!known || known->kind() != c10::TypeKind::DictType) known = constant.type();
    return from_dict(constant, known);
  }
  return make_constant(constant, type);
}

bool is_plain_constant(const Value& value) {
  switch (value.kind) {
    case Value::Kind::kConstant:
      return !value.constant.isTensor();
    case Value::Kind::kList:
    case Value::Kind::kTuple:
    case Value::Kind::kDict:
      for (const ValuePtr& item : value.items) {
        if (!is_plain_constant(*item)) return false;
      }
      for (const ValuePtr& key : value.keys) {
        if (!is_plain_constant(*key)) return false;
      }
      return true;
    default:
      return false;
  }
}

c10::optional<c10::IValue> to_ivalue(const Value& value) {
  switch (value.kind) {
    case Value::Kind::kConstant:
      return value.constant;
    case Value::Kind::kList:
      return list_to_ivalue(value);
    case Value::Kind::kTuple:
      return tuple_to_ivalue(value);
    case Value::Kind::kDict:
      return dict_to_ivalue(value);
    default:
      return c10::nullopt;
  }
}

void for_each_part(const ValuePtr& value, const std::function<void(const ValuePtr&)>& visit) {
  visit(value);
  for (const ValuePtr& key : value->keys) for_each_part(key, visit);
  for (const ValuePtr& item : value->items) for_each_part(item, visit);
  for (const auto& [name, field] : value->fields) for_each_part(field, visit);
}

bool constant_bool(const Value& value, bool fallback) {
  const bool known = value.is(Value::Kind::kConstant) && value.constant.isBool();
  return known ? value.constant.toBool() : fallback;
}

c10::optional<int64_t> constant_int(const Value& value) {
  if (!value.is(Value::Kind::kConstant) || !value.constant.isInt()) return c10::nullopt;
  return value.constant.toInt();
}

c10::optional<double> constant_number(const Value& value) {
  if (!value.is(Value::Kind::kConstant)) return c10::nullopt;
  if (value.constant.isDouble()) return value.constant.toDouble();
  if (value.constant.isInt()) return static_cast<double>(value.constant.toInt());
  return c10::nullopt;
}

c10::optional<std::vector<int64_t>> constant_ints(const Value& value) {
  if (!value.is(Value::Kind::kList)) return c10::nullopt;
  std::vector<int64_t> ints;
  for (const ValuePtr& item : value.items) {
    auto number = constant_int(*item);
    if (!number) return c10::nullopt;
    ints.push_back(*number);
  }
  return ints;
}

void share_storage(const ValuePtr& value, const ValuePtr& base) {
  if (!base->storage) return;
  value->storage = base->storage;
  value->storage->values.push_back(value);
}

void merge_storage(const ValuePtr& value, const ValuePtr& part) {
  if (!part->storage || part->storage == value->storage) return;
  if (!value->storage) return share_storage(value, part);
  const std::shared_ptr<Storage> joined = part->storage;  // kept while its values move
  value->storage->external |= joined->external;
  for (const std::weak_ptr<Value>& weak : joined->values) {
    const ValuePtr other = weak.lock();
    if (!other || other->storage != joined) continue;
    other->storage = value->storage;
    value->storage->values.push_back(other);
  }
}

}  // namespace fxq
