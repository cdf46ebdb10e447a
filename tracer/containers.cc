// Lists, tuples and dicts whose structure is known while reading: built, indexed, appended to
// without a node. Those that a node returns (sizes, chunks) are taken apart by getitem.
#include <ATen/core/function_schema.h>
#include <fmt/format.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/ir/ir.h>

#include "fxq/graph/view.h"
#include "fxq/tracer/container_ops.h"
#include "fxq/tracer/example_runner.h"
#include "fxq/tracer/script_reader.h"

namespace fxq {
namespace {

namespace prim = torch::jit::prim;

// Takes one item of what a node returned; sizes one by one.
ValuePtr take_item(Emitter& emitter, const ValuePtr& all, int64_t index, const c10::TypePtr& type) {
  if (all->node->op() != OpId::kSizes) return emitter.getitem(all, index, type);
  const ValuePtr tensor = make_node_value(all->node->args()[0].node(), c10::TensorType::get());
  return emitter.call("aten::size.int", {tensor, make_constant(index)});
}

// unsafe_chunk, unsafe_split: each result has, to its readers, a memory of its own, if nobody else
// holds the list.
bool gives_tensors_apart(const torch::jit::Value& list) {
  const std::string kind = list.node()->kind().toQualString();
  return kind.rfind("aten::unsafe_", 0) == 0 && list.uses().size() == 1;
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
    return make_items(Value::Kind::kObject, {}, type);
  }
  if (node->kind() == prim::Uninitialized) return make_constant(c10::IValue(), type);
  const auto constant = torch::jit::toIValue(node->output());
  return constant ? from_ivalue(*constant, type) : make_constant(c10::IValue(), type);
}

void ScriptReader::construct(const JitNode* node) { bind(node->output(), constructed(node)); }

void ScriptReader::unpack_tuple(const JitNode* node, const ValuePtr& all) {
  const bool known = all->is(Value::Kind::kTuple);
  const auto take = [&](int64_t i, const c10::TypePtr& type) {
    return known ? all->items.at(static_cast<size_t>(i)) : emitter_.getitem(all, i, type);
  };
  if (node->kind() == prim::TupleIndex) {
    const auto index = constant_int(*get(node->inputs()[1]));
    if (!index) return problem(node, "a tuple is indexed by a number that is not constant");
    const auto size = static_cast<int64_t>(node->inputs()[0]->type()->containedTypes().size());
    return bind(node->output(), take(*index < 0 ? *index + size : *index, node->output()->type()));
  }
  std::vector<ValuePtr> items;
  for (int64_t i = node->i(torch::jit::attr::beg); i < node->i(torch::jit::attr::end); ++i) {
    items.push_back(take(i, nullptr));
  }
  bind(node->output(), make_items(Value::Kind::kTuple, std::move(items), node->output()->type()));
}

// h, w = x.unbind(0): as many as x has rows.
void ScriptReader::guard_count(const JitNode* node, const ValuePtr& list) {
  if (list->node->op() != OpId::kUnbind) return;
  const OpView unbind(gm_, list->node);
  const ValuePtr tensor = make_node_value(unbind.operand(0), c10::TensorType::get());
  const auto count = static_cast<int64_t>(node->outputs().size());
  const ValuePtr size =
      emitter_.call("aten::size.int", {tensor, make_constant(unbind.attr_int("dim", 0))});
  guard(fmt::format("{}: %{} gives {} values", line_of(node), list->node->name(), count), size,
        count);
}

void ScriptReader::unpack(const JitNode* node) {
  const ValuePtr all = get(node->inputs()[0]);
  if (node->kind() == prim::TupleIndex || node->kind() == prim::TupleSlice) {
    return unpack_tuple(node, all);
  }
  const bool known = !all->is(Value::Kind::kNode);
  if (known && all->items.size() != node->outputs().size()) {
    return problem(node, fmt::format("{} values are unpacked into {}", all->items.size(),
                                     node->outputs().size()));
  }
  if (!known) guard_count(node, all);
  const bool apart = !known && gives_tensors_apart(*node->inputs()[0]);
  for (size_t i = 0; i < node->outputs().size(); ++i) {
    const JitValue* output = node->outputs()[i];
    if (known) {
      bind(output, all->items[i]);
    } else if (output->hasUses()) {
      const ValuePtr item = take_item(emitter_, all, static_cast<int64_t>(i), output->type());
      bind(output, apart ? make_node_value(item->node, item->type) : item);
    }
  }
}

// How many tensors a list from a node has, by the example: chunk may give fewer than were asked
// for.
std::optional<int64_t> ScriptReader::count_of(const ValuePtr& list) {
  if (!options_.example || list->from_data) return std::nullopt;
  const auto seen = options_.example->value_of(list->node);
  if (!seen.ok() || !seen->isTensorList()) return std::nullopt;
  return static_cast<int64_t>(seen->toTensorList().size());
}

// [q] + k_and_v.chunk(2)
ValuePtr ScriptReader::taken_apart(const JitNode* node, const ValuePtr& list) {
  const auto count = list->is(Value::Kind::kNode) ? count_of(list) : std::nullopt;
  if (!count) return list;
  guard(fmt::format("{}: %{} gives {} values", line_of(node), list->node->name(), *count));
  std::vector<ValuePtr> items;
  for (int64_t i = 0; i < *count; ++i) {
    items.push_back(take_item(emitter_, list, i, c10::TensorType::get()));
  }
  return make_items(Value::Kind::kList, std::move(items), list->type);
}

bool ScriptReader::call_container(const JitNode* node, std::vector<ValuePtr> args) {
  if (args.empty() && node->kind() == torch::jit::aten::dict) {  // dict(), OrderedDict()
    bind(node->output(), make_items(Value::Kind::kDict, {}, node->output()->type()));
    return true;
  }
  if (args.empty()) return false;
  const auto result = [&](const ValuePtr& value) {
    if (value && !node->outputs().empty()) bind(node->output(), value);
    return value != nullptr;
  };
  const bool of_lists = node->maybeSchema() && !node->schema().arguments().empty() &&
                        node->schema().arguments()[0].type()->kind() == c10::TypeKind::ListType;
  if (of_lists && node->kind() == torch::jit::aten::add) {
    for (ValuePtr& list : args) list = taken_apart(node, list);
  }
  if (args[0]->is(Value::Kind::kTuple) || (args[0]->is(Value::Kind::kList) && of_lists)) {
    return result(call_list_op(node, args));
  }
  if (args[0]->is(Value::Kind::kDict)) return result(call_dict_op(node, args));
  const bool item = node->kind() == torch::jit::aten::__getitem__ && args.size() == 2 &&
                    args[0]->is(Value::Kind::kNode) && constant_int(*args[1]);
  if (!item || (args[0]->node->op() == OpId::kSizes && *constant_int(*args[1]) < 0)) return false;
  return result(take_item(emitter_, args[0], *constant_int(*args[1]), node->output()->type()));
}

}  // namespace fxq
