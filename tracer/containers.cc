// Lists, tuples and dicts whose structure is known while reading: built, indexed, appended to
// without a node. Those that a node returns (sizes, chunks) are taken apart by getitem.
#include <ATen/core/function_schema.h>
#include <fmt/format.h>
#include <torch/csrc/jit/ir/constants.h>

#include "fxq/tracer/script_reader.h"

namespace fxq {
namespace {

namespace prim = torch::jit::prim;

c10::TypePtr element_type(const c10::TypePtr& type, size_t index) {
  if (!type || type->containedTypes().empty()) return nullptr;
  return type->containedTypes()[std::min(index, type->containedTypes().size() - 1)];
}

// Python's index: negative from the end; nothing if out of range.
c10::optional<size_t> item_index(const ValuePtr& list, const ValuePtr& index) {
  const auto number = constant_int(*index);
  if (!number) return c10::nullopt;
  const auto size = static_cast<int64_t>(list->items.size());
  const int64_t at = *number < 0 ? *number + size : *number;
  TORCH_CHECK(at >= 0 && at < size, "index ", *number, " into a list of ", size);
  return static_cast<size_t>(at);
}

std::vector<ValuePtr> sliced(const std::vector<ValuePtr>& items,
                             const std::vector<ValuePtr>& args) {
  const auto size = static_cast<int64_t>(items.size());
  const auto bound = [&](size_t i, int64_t fallback) {
    const int64_t given = i < args.size() ? constant_int(*args[i]).value_or(fallback) : fallback;
    return std::clamp<int64_t>(given < 0 ? given + size : given, 0, size);
  };
  const int64_t step = args.size() > 3 ? constant_int(*args[3]).value_or(1) : 1;
  std::vector<ValuePtr> result;
  for (int64_t i = bound(1, 0); step > 0 && i < bound(2, size); i += step) {
    result.push_back(items[static_cast<size_t>(i)]);
  }
  return result;
}

c10::optional<size_t> find_key(const ValuePtr& dict, const ValuePtr& key) {
  for (size_t i = 0; i < dict->keys.size(); ++i) {
    if (dict->keys[i]->constant == key->constant) return i;
  }
  return c10::nullopt;
}

ValuePtr list_of(std::vector<ValuePtr> items, const torch::jit::Node* node) {
  return make_items(Value::Kind::kList, std::move(items), node->output()->type());
}

}  // namespace

ValuePtr ScriptReader::constructed(const JitNode* node) {
  const c10::TypePtr& type = node->output()->type();
  if (node->kind() == prim::ListConstruct) {
    return make_items(Value::Kind::kList, inputs(node), type);
  }
  if (node->kind() == prim::TupleConstruct) {
    return make_items(Value::Kind::kTuple, inputs(node), type);
  }
  if (node->kind() == prim::DictConstruct) {
    ValuePtr dict = make_items(Value::Kind::kDict, {}, type);
    const std::vector<ValuePtr> parts = inputs(node);
    for (size_t i = 0; i + 1 < parts.size(); i += 2) {
      dict->keys.push_back(parts[i]);
      dict->items.push_back(parts[i + 1]);
    }
    return dict;
  }
  if (node->kind() == prim::CreateObject) {
    auto object = make_items(Value::Kind::kObject, {}, type);
    return object;
  }
  if (node->kind() == prim::Uninitialized) return make_constant(c10::IValue(), type);
  const auto constant = torch::jit::toIValue(node->output());
  return constant ? from_ivalue(*constant, type) : make_constant(c10::IValue(), type);
}

void ScriptReader::construct(const JitNode* node) { bind(node->output(), constructed(node)); }

void ScriptReader::unpack(const JitNode* node) {
  const ValuePtr all = get(node->inputs()[0]);
  if (node->kind() == prim::TupleIndex) {
    const auto index = constant_int(*get(node->inputs()[1]));
    if (!index) return problem(node, "a tuple is indexed by a number that is not constant");
    const auto size = static_cast<int64_t>(node->inputs()[0]->type()->containedTypes().size());
    const int64_t at = *index < 0 ? *index + size : *index;
    const bool known = all->is(Value::Kind::kTuple);
    return bind(node->output(), known ? all->items.at(static_cast<size_t>(at))
                                      : emitter_.getitem(all, at, node->output()->type()));
  }
  if (node->kind() == prim::TupleSlice) {
    std::vector<ValuePtr> items;
    for (int64_t i = node->i(torch::jit::attr::beg); i < node->i(torch::jit::attr::end); ++i) {
      items.push_back(all->is(Value::Kind::kTuple) ? all->items.at(static_cast<size_t>(i))
                                                   : emitter_.getitem(all, i, nullptr));
    }
    return bind(node->output(),
                make_items(Value::Kind::kTuple, std::move(items), node->output()->type()));
  }
  if (!all->is(Value::Kind::kNode)) {
    if (all->items.size() != node->outputs().size()) {
      return problem(node, fmt::format("{} values are unpacked into {}", all->items.size(),
                                       node->outputs().size()));
    }
    for (size_t i = 0; i < all->items.size(); ++i) bind(node->outputs()[i], all->items[i]);
    return;
  }
  const bool sizes = all->node->op() == OpId::kSizes;
  for (size_t i = 0; i < node->outputs().size(); ++i) {
    const JitValue* output = node->outputs()[i];
    if (!output->hasUses()) continue;
    const auto index = static_cast<int64_t>(i);
    bind(output, sizes ? emitter_.call(
                             "aten::size.int",
                             {make_node_value(all->node->args()[0].node(), c10::TensorType::get()),
                              make_constant(index)})
                       : emitter_.getitem(all, index, output->type()));
  }
}

bool ScriptReader::call_container(const JitNode* node, const std::vector<ValuePtr>& args) {
  if (args.empty()) return false;
  const bool list = args[0]->is(Value::Kind::kList) || args[0]->is(Value::Kind::kTuple);
  const bool of_lists = node->maybeSchema() && !node->schema().arguments().empty() &&
                        node->schema().arguments()[0].type()->kind() == c10::TypeKind::ListType;
  if (list && (of_lists || args[0]->is(Value::Kind::kTuple))) return call_list(node, args);
  if (args[0]->is(Value::Kind::kDict)) return call_dict(node, args);
  const bool item = node->kind() == torch::jit::aten::__getitem__ &&
                    args[0]->is(Value::Kind::kNode) && args.size() == 2 &&
                    args[0]->node->op() != OpId::kSizes;
  if (!item || !constant_int(*args[1])) return false;
  bind(node->output(), emitter_.getitem(args[0], *constant_int(*args[1]), node->output()->type()));
  return true;
}

bool ScriptReader::call_list(const JitNode* node, const std::vector<ValuePtr>& args) {
  const ValuePtr& list = args[0];
  std::vector<ValuePtr>& items = list->items;
  const std::string name = node->kind().toQualString();
  const auto done = [&](ValuePtr result) {
    if (!node->outputs().empty()) bind(node->output(), std::move(result));
    return true;
  };
  if (name == "aten::len") {
    return done(make_constant(static_cast<int64_t>(items.size()), c10::IntType::get()));
  }
  if (name == "aten::append") return items.push_back(args[1]), done(list);
  if (name == "aten::__getitem__" || name == "aten::select") {
    const auto index = item_index(list, args[1]);
    return index && done(items[*index]);
  }
  if (name == "aten::_set_item") {
    const auto index = item_index(list, args[1]);
    return index && (items[*index] = args[2], done(list));
  }
  if (name == "aten::extend" && args[1]->is(Value::Kind::kList)) {
    const std::vector<ValuePtr> more = args[1]->items;
    items.insert(items.end(), more.begin(), more.end());
    return done(list);
  }
  if (name == "aten::insert" && constant_int(*args[1])) {
    const auto size = static_cast<int64_t>(items.size());
    const int64_t given = *constant_int(*args[1]);
    items.insert(items.begin() + std::clamp<int64_t>(given < 0 ? given + size : given, 0, size),
                 args[2]);
    return done(list);
  }
  if (name == "aten::pop") {
    const auto index = item_index(list, args.size() > 1 ? args[1] : make_constant(int64_t{-1}));
    if (!index) return false;
    ValuePtr item = items[*index];
    items.erase(items.begin() + static_cast<int64_t>(*index));
    return done(item);
  }
  if (name == "aten::clear") return items.clear(), done(list);
  if (name == "aten::reverse") return std::reverse(items.begin(), items.end()), done(list);
  if (name == "aten::copy" || name == "aten::list") return done(list_of(items, node));
  if (name == "aten::slice") return done(list_of(sliced(items, args), node));
  if (name == "aten::add_" && args[1]->is(Value::Kind::kList)) {
    const std::vector<ValuePtr> more = args[1]->items;
    items.insert(items.end(), more.begin(), more.end());
    return done(list);
  }
  if (name == "aten::add" && args[1]->is(Value::Kind::kList)) {
    std::vector<ValuePtr> joined = items;
    joined.insert(joined.end(), args[1]->items.begin(), args[1]->items.end());
    return done(list_of(std::move(joined), node));
  }
  if (name == "aten::mul" && constant_int(*args[1])) {
    std::vector<ValuePtr> repeated;
    for (int64_t i = 0; i < *constant_int(*args[1]); ++i) {
      repeated.insert(repeated.end(), items.begin(), items.end());
    }
    return done(list_of(std::move(repeated), node));
  }
  return false;
}

bool ScriptReader::call_dict(const JitNode* node, const std::vector<ValuePtr>& args) {
  const ValuePtr& dict = args[0];
  const std::string name = node->kind().toQualString();
  const auto done = [&](ValuePtr result) {
    if (!node->outputs().empty()) bind(node->output(), std::move(result));
    return true;
  };
  if (name == "aten::len") return done(make_constant(static_cast<int64_t>(dict->items.size())));
  if (name == "aten::keys") return done(list_of(dict->keys, node));
  if (name == "aten::values") return done(list_of(dict->items, node));
  if (name == "aten::items") {
    std::vector<ValuePtr> pairs;
    for (size_t i = 0; i < dict->items.size(); ++i) {
      pairs.push_back(make_items(Value::Kind::kTuple, {dict->keys[i], dict->items[i]},
                                 element_type(node->output()->type(), 0)));
    }
    return done(list_of(std::move(pairs), node));
  }
  if (args.size() < 2 || !args[1]->is(Value::Kind::kConstant)) return false;
  const auto found = find_key(dict, args[1]);
  if (name == "aten::__contains__") return done(make_constant(found.has_value()));
  if (name == "aten::_set_item") {
    if (found) {
      dict->items[*found] = args[2];
    } else {
      dict->keys.push_back(args[1]);
      dict->items.push_back(args[2]);
    }
    return done(dict);
  }
  if (name == "aten::get") {
    return done(found             ? dict->items[*found]
                : args.size() > 2 ? args[2]
                                  : make_constant(c10::IValue()));
  }
  if (name != "aten::__getitem__" && name != "aten::pop") return false;
  TORCH_CHECK(found || args.size() > 2, "a dict has no such key");
  ValuePtr item = found ? dict->items[*found] : args[2];
  if (name == "aten::pop" && found) {
    dict->keys.erase(dict->keys.begin() + static_cast<int64_t>(*found));
    dict->items.erase(dict->items.begin() + static_cast<int64_t>(*found));
  }
  return done(item);
}

}  // namespace fxq
