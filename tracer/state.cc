// self.h = f(self.h, x)
//     ->  %h = get_attr @h ... assign(%h, %new), before the output
// self.cache = f(self.cache, x), a List, Optional, str, ...
//     ->  %c = @cache_state(false, none) ... @cache_state(true, %new)
//
// What one call leaves for the next. A first reading takes every attribute as it was saved; if a
// call stores in it what its data made, or other numbers, and read it before, a second reading
// keeps it as state. Caches of what does not depend on data (anchors, tables of positions) need
// none: each call fills them anew.
#include <fmt/format.h>
#include <torch/csrc/jit/api/module.h>

#include "fxq/graph/opaque_module.h"
#include "fxq/tracer/script_reader.h"

namespace fxq {
namespace {

// Numbers: sizes, dtypes and what is made of them alone.
bool is_question(const Node* node) {
  return op_def(node->op()).rule == Rule::kNotTensor && node->op() != OpId::kGetItem;
}

bool reads_data(const Node* node, std::set<const Node*>& seen) {
  if (!seen.insert(node).second || is_question(node)) return false;
  if (node->is(NodeKind::kPlaceholder)) return true;
  return std::any_of(node->inputs().begin(), node->inputs().end(),
                     [&](const Node* input) { return reads_data(input, seen); });
}

bool depends_on_data(const ValuePtr& value) {
  bool depends = false;
  std::set<const Node*> seen;
  for_each_part(value, [&](const ValuePtr& part) {
    depends |= part->is(Value::Kind::kNode) && reads_data(part->node, seen);
  });
  return depends;
}

bool is_number(const Value& value) {
  const bool constant = value.is(Value::Kind::kConstant) && value.constant.isScalar();
  const bool typed = value.is(Value::Kind::kNode) && value.type &&
                     value.type->isSubtypeOf(*c10::NumberType::get());
  return constant || typed;
}

std::vector<ValuePtr> numbers_in(const ValuePtr& value) {
  std::vector<ValuePtr> numbers;
  for_each_part(value, [&](const ValuePtr& part) {
    if (is_number(*part)) numbers.push_back(part);
  });
  return numbers;
}

// [0] -> [size of x]: a position, a counter.
bool numbers_change(const ValuePtr& before, const ValuePtr& after) {
  const std::vector<ValuePtr> old = numbers_in(before), now = numbers_in(after);
  if (old.empty()) return false;  // a cache that was empty
  return !std::equal(old.begin(), old.end(), now.begin(), now.end(),
                     [](const ValuePtr& a, const ValuePtr& b) {
                       return a->is(Value::Kind::kConstant) && b->is(Value::Kind::kConstant) &&
                              a->constant == b->constant;
                     });
}

std::string slot_code(const c10::TypePtr& type) {
  const bool optional = type->kind() == c10::TypeKind::OptionalType;
  const std::string given =
      optional ? type->annotation_str() : fmt::format("Optional[{}]", type->annotation_str());
  return fmt::format(
      "def forward(self, store: bool, new: {}) -> {}:\n"
      "    if store:\n"
      "{}"
      "        self.value = new\n"
      "    return self.value\n",
      given, type->annotation_str(), optional ? "" : "        assert new is not None\n");
}

// A module that holds one value and gives or takes it.
std::shared_ptr<OpaqueModule> make_slot(const c10::TypePtr& type, const c10::IValue& value) {
  torch::jit::Module module(c10::QualifiedName("__torch__.fxq.State"),
                            std::make_shared<torch::jit::CompilationUnit>(), /*shouldMangle=*/true);
  module.register_attribute("value", type, value.deepcopy());
  module.define(slot_code(type));
  return std::make_shared<OpaqueModule>(module, "fxq.State", "");
}

}  // namespace

std::string state_is_not_kept(const std::string& path) {
  return fmt::format(
      "{} is at the start of each call as it was saved; what the call stores in it is not kept",
      path);
}

ValuePtr ScriptReader::slot_value(const std::string& name, const c10::TypePtr& type,
                                  const c10::IValue& value) {
  const std::string path = gm_.unique_path(name + "_state");
  gm_.set_module(path, make_slot(type, value));
  ValuePtr known =
      emitter_.call_module(path, {make_constant(false), make_constant(c10::IValue())}, type);
  known->from_data = true;
  slots_[name] = path;
  return known;
}

// A tensor that forward may assign: with a handle of its own, so that the caller's never changes,
// and of any size.
ValuePtr ScriptReader::state_tensor(const std::string& name, const at::Tensor& tensor) {
  ValuePtr known = emitter_.attribute(name, tensor.detach());
  known->node->type.dims.reset();
  state_tensors_[name] = known->node;
  return known;
}

ScriptReader::AttributeKey ScriptReader::key_of(const ValuePtr& object, const std::string& name) {
  return {object->constant.toObject().get(), name};
}

void ScriptReader::store(const ValuePtr& object, const std::string& name, const ValuePtr& value) {
  const AttributeKey key = key_of(object, name);
  const bool was_read = read_attributes_.count(key) != 0;
  const ValuePtr before = attribute(object, name);
  attributes_[key] = value;
  for (const Stored& each : stored_) {
    if (each.key == key) return;
  }
  const std::string& path = attribute_paths_.at(key);
  const auto buffer = state_tensors_.find(path);
  Node* node = buffer == state_tensors_.end() ? nullptr : buffer->second;
  stored_.push_back({key, path, before, node, was_read});
}

// The first reading finds it; the second has a slot, whose list changes in place.
void ScriptReader::change_state(const JitNode* node, const ValuePtr& container) {
  poison_outputs(node);
  for (const auto& [key, value] : attributes_) {
    bool holds = false;
    for_each_part(value, [&](const ValuePtr& part) { holds |= part == container; });
    if (holds) lost_state_.insert(attribute_paths_.at(key));
  }
}

// Of attributes that the first reading took as saved.
void ScriptReader::note_lost(const Stored& stored) {
  if (!stored.was_read) return;
  const ValuePtr& value = attributes_.at(stored.key);
  if (depends_on_data(value) || numbers_change(stored.before, value)) {
    lost_state_.insert(stored.path);
  } else {
    guard(state_is_not_kept(stored.path));
  }
}

void ScriptReader::store_state(const ValuePtr& result) {
  keep_old(result);
  for (const Stored& stored : stored_) {
    const ValuePtr value = attributes_.at(stored.key);
    if (value->is(Value::Kind::kPoison)) continue;  // reported
    const auto slot = slots_.find(stored.path);
    if (slot != slots_.end()) {
      emitter_.call_module(slot->second, {make_constant(true), value}, c10::NoneType::get());
    } else if (stored.buffer) {
      if (value != stored.before)
        emitter_.assign(make_node_value(stored.buffer, value->type), value);
    } else if (const auto number = state_buffers_.find(stored.key);
               number != state_buffers_.end()) {
      emitter_.assign(number->second, as_tensor(number->second, value));
    } else {
      note_lost(stored);
    }
  }
}

// What is returned or stored elsewhere of a tensor that is about to be replaced stays as it was.
void ScriptReader::keep_old(const ValuePtr& result) {
  std::map<const Node*, Node*> kept;
  for (const Stored& stored : stored_) {
    if (!stored.buffer || attributes_.at(stored.key) == stored.before) continue;
    kept[stored.buffer] = nullptr;
    kept[stored.before->node] = nullptr;  // what wrote into it last
  }
  const auto keep = [&](const ValuePtr& part) {
    const auto old = part->is(Value::Kind::kNode) ? kept.find(part->node) : kept.end();
    if (old == kept.end()) return;
    if (!old->second) {
      old->second = emitter_.call("aten::alias", {make_node_value(part->node, part->type)})->node;
    }
    part->node = old->second;
  };
  for_each_part(result, keep);
  for (const Stored& stored : stored_) {
    if (attributes_.at(stored.key) != stored.before)
      for_each_part(attributes_.at(stored.key), keep);
  }
}

// A number in the dtype of its buffer.
ValuePtr ScriptReader::as_tensor(const ValuePtr& buffer, ValuePtr number) {
  const bool flag = number->type && number->type->kind() == c10::TypeKind::BoolType;
  if (flag && !number->is(Value::Kind::kConstant))
    number = emitter_.call("aten::Int.bool", {number});
  const ValuePtr none = make_constant(c10::IValue());
  return emitter_.call("aten::full_like", {buffer, number, none, none, none, none, none});
}

}  // namespace fxq
