// Text forms: %name for a node, None, True, 3, 1e-05, "text", [a, b], (a, b), {k: v}, slice(a, b,
// c).
#include "fxq/graph/argument.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "fxq/graph/lexer.h"
#include "fxq/graph/node.h"

namespace fxq {
namespace {

std::vector<Argument> map_all(const std::vector<Argument>& items,
                              const std::function<Argument(Node*)>& map) {
  std::vector<Argument> result;
  result.reserve(items.size());
  for (const Argument& item : items) result.push_back(item.map_nodes(map));
  return result;
}

std::string joined(const std::vector<Argument>& items) {
  std::vector<std::string> parts;
  for (const Argument& item : items) parts.push_back(item.to_string());
  return fmt::format("{}", fmt::join(parts, ", "));
}

// Always with a point or an exponent, so that it reads back as a float.
std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

// [3,3] like a shape, but [%a, %b].
std::string list_text(const ListArg& list) {
  bool constant = true;
  for (const Argument& item : list.items) constant = constant && item.is_constant();
  std::vector<std::string> parts;
  for (const Argument& item : list.items) parts.push_back(item.to_string());
  return fmt::format("[{}]", fmt::join(parts, constant ? "," : ", "));
}

std::string tuple_text(const TupleArg& tuple) {
  if (tuple.names.empty()) {
    return fmt::format("({}{})", joined(tuple.items), tuple.items.size() == 1 ? "," : "");
  }
  std::vector<std::string> parts;
  for (size_t i = 0; i < tuple.items.size(); ++i) {
    parts.push_back(fmt::format("{}={}", tuple.names[i], tuple.items[i].to_string()));
  }
  return fmt::format("({})", fmt::join(parts, ", "));
}

std::string dict_text(const DictArg& dict) {
  std::vector<std::string> parts;
  for (const auto& [key, value] : dict.items) {
    parts.push_back(fmt::format("{}: {}", key.to_string(), value.to_string()));
  }
  return fmt::format("{{{}}}", fmt::join(parts, ", "));
}

struct Printer {
  std::string operator()(std::monostate) const { return "none"; }
  std::string operator()(Node* node) const { return "%" + node->name(); }
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(int64_t value) const { return std::to_string(value); }
  std::string operator()(double value) const { return float_text(value); }
  std::string operator()(const std::string& value) const { return quoted_text(value); }
  std::string operator()(DType value) const { return std::string(dtype_name(value)); }
  std::string operator()(const Device& value) const {
    return fmt::format("device({})", quoted_text(value.name));
  }
  std::string operator()(const ListArg& list) const { return list_text(list); }
  std::string operator()(const TupleArg& tuple) const { return tuple_text(tuple); }
  std::string operator()(const DictArg& dict) const { return dict_text(dict); }
  std::string operator()(const SliceArg& slice) const {
    return "slice(" + joined(slice.parts) + ")";
  }
};

}  // namespace

Argument Argument::ints(const std::vector<int64_t>& values) {
  ListArg list;
  for (int64_t value : values) list.items.emplace_back(value);
  return list;
}

const std::vector<Argument>* Argument::items() const {
  if (const auto* list = get_if<ListArg>()) return &list->items;
  if (const auto* tuple = get_if<TupleArg>()) return &tuple->items;
  return nullptr;
}

bool Argument::is_constant() const {
  bool constant = true;
  for_each_node([&](Node*) { constant = false; });
  return constant;
}

void Argument::for_each_node(const std::function<void(Node*)>& visit) const {
  if (Node* single = node()) {
    visit(single);
  } else if (const std::vector<Argument>* nested = items()) {
    for (const Argument& item : *nested) item.for_each_node(visit);
  } else if (const auto* dict = get_if<DictArg>()) {
    for (const auto& [key, value] : dict->items) {
      key.for_each_node(visit);
      value.for_each_node(visit);
    }
  } else if (const auto* slice = get_if<SliceArg>()) {
    for (const Argument& part : slice->parts) part.for_each_node(visit);
  }
}

Argument Argument::map_nodes(const std::function<Argument(Node*)>& map) const {
  if (Node* single = node()) return map(single);
  if (const auto* list = get_if<ListArg>()) return ListArg{map_all(list->items, map)};
  if (const auto* tuple = get_if<TupleArg>()) {
    return TupleArg{map_all(tuple->items, map), tuple->names};
  }
  if (const auto* slice = get_if<SliceArg>()) return SliceArg{map_all(slice->parts, map)};
  if (const auto* dict = get_if<DictArg>()) {
    DictArg result;
    for (const auto& [key, value] : dict->items) {
      result.items.emplace_back(key.map_nodes(map), value.map_nodes(map));
    }
    return result;
  }
  return *this;
}

std::string Argument::to_string() const { return std::visit(Printer{}, value_); }

bool operator==(const Argument& a, const Argument& b) { return a.value_ == b.value_; }
bool operator==(const ListArg& a, const ListArg& b) { return a.items == b.items; }
bool operator==(const TupleArg& a, const TupleArg& b) {
  return a.items == b.items && a.names == b.names;
}
bool operator==(const DictArg& a, const DictArg& b) { return a.items == b.items; }
bool operator==(const SliceArg& a, const SliceArg& b) { return a.parts == b.parts; }

}  // namespace fxq
