// parts = [a]; parts.append(b); parts[-1]   ->   b
#include "fxq/tracer/container_ops.h"

#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>

#include <algorithm>

namespace fxq {
namespace {

using JitNode = torch::jit::Node;
using Args = std::vector<ValuePtr>;
using Op = ValuePtr (*)(const JitNode*, const Args&);

ValuePtr list_of(std::vector<ValuePtr> items, const JitNode* node) {
  return make_items(Value::Kind::kList, std::move(items), node->output()->type());
}

// Python's index: negative from the end; nothing if it is not constant.
c10::optional<size_t> item_index(const ValuePtr& list, const ValuePtr& index) {
  const auto number = constant_int(*index);
  if (!number) return c10::nullopt;
  const auto size = static_cast<int64_t>(list->items.size());
  const int64_t at = *number < 0 ? *number + size : *number;
  TORCH_CHECK(at >= 0 && at < size, "index ", *number, " into a list of ", size);
  return static_cast<size_t>(at);
}

// Python's slice bound: negative from the end, clamped.
int64_t slice_bound(const Args& args, size_t i, int64_t fallback) {
  const auto size = static_cast<int64_t>(args[0]->items.size());
  const int64_t given = i < args.size() ? constant_int(*args[i]).value_or(fallback) : fallback;
  return std::clamp<int64_t>(given < 0 ? given + size : given, 0, size);
}

ValuePtr length(const JitNode*, const Args& args) {
  return make_constant(static_cast<int64_t>(args[0]->items.size()), c10::IntType::get());
}

ValuePtr append(const JitNode*, const Args& args) {
  args[0]->items.push_back(args[1]);
  return args[0];
}

ValuePtr get_item(const JitNode*, const Args& args) {
  const auto index = item_index(args[0], args[1]);
  return index ? args[0]->items[*index] : nullptr;
}

ValuePtr set_item(const JitNode*, const Args& args) {
  const auto index = item_index(args[0], args[1]);
  if (!index) return nullptr;
  args[0]->items[*index] = args[2];
  return args[0];
}

ValuePtr extend(const JitNode*, const Args& args) {
  if (!args[1]->is(Value::Kind::kList)) return nullptr;
  const std::vector<ValuePtr> more = args[1]->items;
  args[0]->items.insert(args[0]->items.end(), more.begin(), more.end());
  return args[0];
}

ValuePtr insert(const JitNode*, const Args& args) {
  if (!constant_int(*args[1])) return nullptr;
  args[0]->items.insert(args[0]->items.begin() + slice_bound(args, 1, 0), args[2]);
  return args[0];
}

ValuePtr pop_item(const JitNode*, const Args& args) {
  const auto index = item_index(args[0], args.size() > 1 ? args[1] : make_constant(int64_t{-1}));
  if (!index) return nullptr;
  ValuePtr item = args[0]->items[*index];
  args[0]->items.erase(args[0]->items.begin() + static_cast<int64_t>(*index));
  return item;
}

ValuePtr clear(const JitNode*, const Args& args) {
  args[0]->keys.clear();
  args[0]->items.clear();
  return args[0];
}

ValuePtr reverse(const JitNode*, const Args& args) {
  std::reverse(args[0]->items.begin(), args[0]->items.end());
  return args[0];
}

ValuePtr copy(const JitNode* node, const Args& args) { return list_of(args[0]->items, node); }

ValuePtr slice(const JitNode* node, const Args& args) {
  for (size_t i = 1; i < args.size(); ++i) {
    if (!args[i]->is_none() && !constant_int(*args[i])) return nullptr;
  }
  const auto size = static_cast<int64_t>(args[0]->items.size());
  const int64_t step = args.size() > 3 ? constant_int(*args[3]).value_or(1) : 1;
  const int64_t end = slice_bound(args, 2, size);
  std::vector<ValuePtr> items;
  for (int64_t i = slice_bound(args, 1, 0); step > 0 && i < end; i += step) {
    items.push_back(args[0]->items[static_cast<size_t>(i)]);
  }
  return list_of(std::move(items), node);
}

ValuePtr concatenate(const JitNode* node, const Args& args) {
  if (!args[1]->is(Value::Kind::kList)) return nullptr;
  std::vector<ValuePtr> joined = args[0]->items;
  joined.insert(joined.end(), args[1]->items.begin(), args[1]->items.end());
  return list_of(std::move(joined), node);
}

ValuePtr repeat(const JitNode* node, const Args& args) {
  const auto times = constant_int(*args[1]);
  if (!times) return nullptr;
  std::vector<ValuePtr> repeated;
  for (int64_t i = 0; i < *times; ++i) {
    repeated.insert(repeated.end(), args[0]->items.begin(), args[0]->items.end());
  }
  return list_of(std::move(repeated), node);
}

c10::optional<size_t> find_key(const Args& args) {
  for (size_t i = 0; i < args[0]->keys.size(); ++i) {
    if (args[0]->keys[i]->constant == args[1]->constant) return i;
  }
  return c10::nullopt;
}

ValuePtr dict_keys(const JitNode* node, const Args& args) { return list_of(args[0]->keys, node); }
ValuePtr dict_values(const JitNode* node, const Args& args) {
  return list_of(args[0]->items, node);
}

ValuePtr dict_items(const JitNode* node, const Args& args) {
  std::vector<ValuePtr> pairs;
  for (size_t i = 0; i < args[0]->items.size(); ++i) {
    pairs.push_back(make_items(Value::Kind::kTuple, {args[0]->keys[i], args[0]->items[i]},
                               node->output()->type()->containedTypes().at(0)));
  }
  return list_of(std::move(pairs), node);
}

ValuePtr dict_contains(const JitNode*, const Args& args) {
  return make_constant(find_key(args).has_value(), c10::BoolType::get());
}

ValuePtr dict_set(const JitNode*, const Args& args) {
  if (const auto found = find_key(args)) {
    args[0]->items[*found] = args[2];
  } else {
    args[0]->keys.push_back(args[1]);
    args[0]->items.push_back(args[2]);
  }
  return args[0];
}

ValuePtr dict_get_or(const JitNode*, const Args& args) {
  if (const auto found = find_key(args)) return args[0]->items[*found];
  return args.size() > 2 ? args[2] : make_constant(c10::IValue());
}

ValuePtr dict_get(const JitNode*, const Args& args) {
  const auto found = find_key(args);
  TORCH_CHECK(found, "a dict has no such key");
  return args[0]->items[*found];
}

ValuePtr dict_pop(const JitNode*, const Args& args) {
  const auto found = find_key(args);
  TORCH_CHECK(found || args.size() > 2, "a dict has no such key");
  if (!found) return args[2];
  ValuePtr item = args[0]->items[*found];
  args[0]->keys.erase(args[0]->keys.begin() + static_cast<int64_t>(*found));
  args[0]->items.erase(args[0]->items.begin() + static_cast<int64_t>(*found));
  return item;
}

ValuePtr dict_update(const JitNode* node, const Args& args) {
  if (args.size() < 2 || !args[1]->is(Value::Kind::kDict)) return nullptr;
  for (size_t i = 0; i < args[1]->keys.size(); ++i) {
    dict_set(node, {args[0], args[1]->keys[i], args[1]->items[i]});
  }
  return args[0];
}

ValuePtr dict_set_default(const JitNode*, const Args& args) {
  if (const auto found = find_key(args)) return args[0]->items[*found];
  args[0]->keys.push_back(args[1]);
  args[0]->items.push_back(args[2]);
  return args[2];
}

ValuePtr dict_delete(const JitNode* node, const Args& args) {
  dict_pop(node, {args[0], args[1]});
  return args[0];
}

using Table = std::unordered_map<std::string, Op>;

ValuePtr call(const Table& table, const JitNode* node, const Args& args) {
  const auto op = table.find(node->kind().toQualString());
  return op == table.end() ? nullptr : op->second(node, args);
}

}  // namespace

ValuePtr call_list_op(const JitNode* node, const Args& args) {
  static const auto* table = new Table{
      {"aten::len", length},      {"aten::append", append},      {"aten::__getitem__", get_item},
      {"aten::select", get_item}, {"aten::_set_item", set_item}, {"aten::extend", extend},
      {"aten::insert", insert},   {"aten::pop", pop_item},       {"aten::clear", clear},
      {"aten::reverse", reverse}, {"aten::copy", copy},          {"aten::list", copy},
      {"aten::slice", slice},     {"aten::add", concatenate},    {"aten::add_", extend},
      {"aten::mul", repeat}};
  return call(*table, node, args);
}

ValuePtr call_dict_op(const JitNode* node, const Args& args) {
  static const auto* whole = new Table{{"aten::len", length},         {"aten::keys", dict_keys},
                                       {"aten::values", dict_values}, {"aten::items", dict_items},
                                       {"aten::update", dict_update}, {"aten::clear", clear}};
  static const auto* by_key = new Table{{"aten::__contains__", dict_contains},
                                        {"aten::_set_item", dict_set},
                                        {"aten::get", dict_get_or},
                                        {"aten::__getitem__", dict_get},
                                        {"aten::setdefault", dict_set_default},
                                        {"aten::Delete", dict_delete},
                                        {"aten::pop", dict_pop}};
  if (ValuePtr result = call(*whole, node, args)) return result;
  const bool known_key = args.size() > 1 && args[1]->is(Value::Kind::kConstant);
  return known_key ? call(*by_key, node, args) : nullptr;
}

}  // namespace fxq
