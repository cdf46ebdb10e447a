// [1, 2] with schema type int[] -> List[int]; without a type the elements say it.
#include "fxq/graph/ivalue_convert.h"

#include <ATen/core/Dict.h>
#include <ATen/core/List.h>
#include <ATen/core/function_schema.h>
#include <ATen/ops/empty.h>

#include "fxq/graph/interpreter.h"
#include "fxq/graph/tensor_convert.h"

namespace fxq {

c10::TypePtr without_optional(c10::TypePtr type) {
  while (type && type->kind() == c10::TypeKind::OptionalType) {
    type = type->expectRef<c10::OptionalType>().getElementType();
  }
  return type;
}

namespace {

c10::TypePtr list_element(const c10::TypePtr& type) {
  if (!type || type->kind() != c10::TypeKind::ListType) return nullptr;
  return type->expectRef<c10::ListType>().getElementType();
}

c10::TypePtr guess_element(const std::vector<c10::IValue>& items) {
  if (items.empty()) return c10::IntType::get();
  c10::TypePtr element = items[0].type();
  if (element->kind() == c10::TypeKind::TensorType) return c10::TensorType::get();
  for (const c10::IValue& item : items) {
    if (item.isDouble()) return c10::FloatType::get();
    if (item.isNone()) return c10::OptionalType::create(c10::TensorType::get());
    if (item.isTensor()) return c10::TensorType::get();
  }
  return element;
}

c10::IValue items_to_ivalue(const std::vector<Argument>& items, const c10::TypePtr& type) {
  const c10::TypePtr element = list_element(type);
  std::vector<c10::IValue> values;
  for (const Argument& item : items) values.push_back(to_ivalue_as(item, element));
  return make_list(values, element);
}

c10::IValue tuple_to_ivalue(const TupleArg& tuple) {
  std::vector<c10::IValue> values;
  for (const Argument& item : tuple.items) values.push_back(to_ivalue(item));
  return c10::ivalue::Tuple::create(std::move(values));
}

c10::IValue dict_to_ivalue(const DictArg& dict) {
  if (dict.items.empty()) {
    return c10::impl::GenericDict(c10::StringType::get(), c10::TensorType::get());
  }
  c10::impl::GenericDict result(to_ivalue(dict.items[0].first).type(),
                                to_ivalue(dict.items[0].second).type());
  for (const auto& [key, value] : dict.items) result.insert(to_ivalue(key), to_ivalue(value));
  return result;
}

c10::IValue int_to_ivalue(int64_t value, const c10::TypePtr& type) {
  const c10::TypePtr element = list_element(type);
  if (element) return make_list({int_to_ivalue(value, element)}, element);
  if (type && type->kind() == c10::TypeKind::FloatType) return static_cast<double>(value);
  if (type && type->kind() == c10::TypeKind::BoolType) return value != 0;
  return value;
}

struct Converter {
  c10::TypePtr type;
  c10::IValue operator()(std::monostate) const { return {}; }
  c10::IValue operator()(Node*) const { TORCH_CHECK(false, "a node is no constant"); }
  c10::IValue operator()(bool value) const { return value; }
  c10::IValue operator()(int64_t value) const { return int_to_ivalue(value, type); }
  c10::IValue operator()(double value) const { return value; }
  c10::IValue operator()(const std::string& value) const { return value; }
  c10::IValue operator()(DType value) const {
    return static_cast<int64_t>(scalar_type_number(value));
  }
  c10::IValue operator()(const Device& value) const { return c10::Device(value.name); }
  c10::IValue operator()(const ListArg& list) const { return items_to_ivalue(list.items, type); }
  c10::IValue operator()(const TupleArg& tuple) const {
    return list_element(type) ? items_to_ivalue(tuple.items, type) : tuple_to_ivalue(tuple);
  }
  c10::IValue operator()(const DictArg& dict) const { return dict_to_ivalue(dict); }
  c10::IValue operator()(const SliceArg&) const {
    TORCH_CHECK(false, "a slice is no operator argument");
  }
};

std::optional<Argument> items_to_argument(c10::ArrayRef<c10::IValue> items, bool as_tuple) {
  std::vector<Argument> arguments;
  for (const c10::IValue& item : items) {
    auto argument = to_argument(item);
    if (!argument) return std::nullopt;
    arguments.push_back(*std::move(argument));
  }
  return as_tuple ? Argument::tuple(std::move(arguments)) : Argument::list(std::move(arguments));
}

std::optional<Argument> dict_to_argument(const c10::IValue& value) {
  DictArg dict;
  for (const auto& entry : value.toGenericDict()) {
    auto key = to_argument(entry.key());
    auto item = to_argument(entry.value());
    if (!key || !item) return std::nullopt;
    dict.items.emplace_back(*std::move(key), *std::move(item));
  }
  return Argument(std::move(dict));
}

std::vector<Type> types_of(c10::ArrayRef<c10::IValue> items) {
  std::vector<Type> types;
  for (const c10::IValue& item : items) types.push_back(type_of(item));
  return types;
}

// What both say: dtype, rank, sizes.
Type common(Type a, const Type& b) {
  if (a == b) return a;
  if (!a.is_tensor() || !b.is_tensor()) return {};
  if (a.dtype != b.dtype) a.dtype = std::nullopt;
  if (a.rank() != b.rank()) a.dims = std::nullopt;
  for (size_t i = 0; a.dims && i < a.dims->size(); ++i) {
    if (!((*a.dims)[i] == (*b.dims)[i])) (*a.dims)[i] = {};
  }
  return a;
}

// One type for all elements.
Type element_type(const std::vector<Type>& types) {
  if (types.empty()) return {};
  Type result = types[0];
  for (const Type& type : types) result = common(std::move(result), type);
  return result;
}

}  // namespace

c10::IValue to_ivalue_as(const Argument& argument, const c10::TypePtr& type) {
  return std::visit(Converter{without_optional(type)}, argument.value());
}

c10::IValue to_ivalue(const Argument& argument) { return to_ivalue_as(argument, nullptr); }

c10::IValue make_list(const std::vector<c10::IValue>& items, const c10::TypePtr& element) {
  c10::TypePtr type = element ? element : guess_element(items);
  if (type->kind() == c10::TypeKind::VarType || type->kind() == c10::TypeKind::AnyType) {
    type = guess_element(items);
  }
  c10::impl::GenericList list(type);
  for (const c10::IValue& item : items) {
    const bool widen = type->kind() == c10::TypeKind::FloatType && item.isInt();
    list.push_back(widen ? c10::IValue(static_cast<double>(item.toInt())) : item);
  }
  return list;
}

namespace {

// None, or what prim::Uninitialized gives, whose type is Any: an early return leaves such values
// behind, and nobody reads them, but they must have their type.
bool is_unset(const c10::IValue& value) {
  return value.isNone() || value.type()->kind() == c10::TypeKind::AnyType;
}

// A NamedTuple is no tuple to TorchScript's calls, whatever its items are.
c10::IValue tuple_of(std::vector<c10::IValue> items, const c10::TypePtr& type) {
  const auto tuple_type = type->cast<c10::TupleType>();
  if (!tuple_type->name()) return c10::ivalue::Tuple::create(std::move(items));
  return c10::ivalue::Tuple::createNamed(std::move(items), tuple_type);
}

c10::IValue filler(const c10::TypePtr& type) {
  switch (type->kind()) {
    case c10::TypeKind::TensorType:
      return at::empty({0});  // a tuple asks undefined ones for their strides
    case c10::TypeKind::BoolType:
      return false;
    case c10::TypeKind::IntType:
      return int64_t{0};
    case c10::TypeKind::FloatType:
      return 0.0;
    case c10::TypeKind::StringType:
      return std::string();
    case c10::TypeKind::ListType:
      return c10::impl::GenericList(list_element(type));
    case c10::TypeKind::TupleType: {
      std::vector<c10::IValue> items;
      for (const c10::TypePtr& item : type->containedTypes()) items.push_back(filler(item));
      return tuple_of(std::move(items), type);
    }
    default:
      return {};
  }
}

}  // namespace

c10::IValue as_static_type(const c10::IValue& value, const c10::TypePtr& wanted) {
  if (is_unset(value)) {
    return c10::NoneType::get()->isSubtypeOf(*wanted) ? c10::IValue() : filler(wanted);
  }
  if (value.type()->isSubtypeOf(*wanted)) return value;
  const c10::TypePtr type = without_optional(wanted);
  if (value.isList() && type->kind() == c10::TypeKind::ListType) {
    const c10::TypePtr element = list_element(type);
    c10::impl::GenericList list(element);
    for (const c10::IValue& item : value.toListRef()) list.push_back(as_static_type(item, element));
    return list;
  }
  if (value.isGenericDict() && type->kind() == c10::TypeKind::DictType) {
    const auto& dict_type = type->expectRef<c10::DictType>();
    c10::impl::GenericDict dict(dict_type.getKeyType(), dict_type.getValueType());
    for (const auto& entry : value.toGenericDict()) {
      dict.insert(entry.key(), as_static_type(entry.value(), dict_type.getValueType()));
    }
    return dict;
  }
  if (value.isTuple() && type->kind() == c10::TypeKind::TupleType) {
    const auto& elements = value.toTupleRef().elements();
    const auto types = type->containedTypes();
    if (elements.size() != types.size()) return value;
    std::vector<c10::IValue> items;
    for (size_t i = 0; i < types.size(); ++i)
      items.push_back(as_static_type(elements[i], types[i]));
    return tuple_of(std::move(items), type);
  }
  return value;
}

Argument schema_argument(const c10::Argument& formal, Argument value) {
  const c10::TypePtr type = without_optional(formal.real_type());
  const int64_t* number = value.get_if<int64_t>();
  if (!number) return value;
  if (type->kind() == c10::TypeKind::ScalarTypeType) {
    const auto dtype = dtype_from_scalar_type(static_cast<int>(*number));
    if (dtype) return *dtype;
  }
  if (type->kind() == c10::TypeKind::FloatType) return static_cast<double>(*number);
  return value;
}

std::optional<Argument> to_argument(const c10::IValue& value) {
  if (value.isNone()) return Argument();
  if (value.isBool()) return Argument(value.toBool());
  if (value.isInt()) return Argument(value.toInt());
  if (value.isDouble()) return Argument(value.toDouble());
  if (value.isString()) return Argument(value.toStringRef());
  if (value.isDevice()) return Argument(Device{value.toDevice().str()});
  if (value.isList()) return items_to_argument(value.toListRef(), false);
  if (value.isTuple()) return items_to_argument(value.toTupleRef().elements(), true);
  if (value.isGenericDict()) return dict_to_argument(value);
  return std::nullopt;
}

Type type_of(const c10::IValue& value) {
  if (value.isTensor()) {
    const at::Tensor& tensor = value.toTensor();
    if (!tensor.defined()) return Type::of(Type::Kind::kNone);
    const auto dtype = dtype_of(tensor);
    if (tensor.is_nested() || !dtype) return Type::tensor();  // nested: it has no sizes
    return Type::tensor(*dtype, tensor.sizes().vec());
  }
  if (value.isInt()) return Type::of(Type::Kind::kInt);
  if (value.isDouble()) return Type::of(Type::Kind::kFloat);
  if (value.isBool()) return Type::of(Type::Kind::kBool);
  if (value.isString()) return Type::of(Type::Kind::kStr);
  if (value.isNone()) return Type::of(Type::Kind::kNone);
  if (value.isDevice()) return Type::of(Type::Kind::kDevice);
  if (value.isTuple()) return Type::tuple(types_of(value.toTupleRef().elements()));
  if (value.isList()) return Type::list(element_type(types_of(value.toListRef())));
  if (value.isGenericDict()) {
    std::vector<Type> types;
    for (const auto& entry : value.toGenericDict()) types.push_back(type_of(entry.value()));
    Type dict = Type::list(element_type(types));
    dict.kind = Type::Kind::kDict;
    return dict;
  }
  return {};
}

}  // namespace fxq
