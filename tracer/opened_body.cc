// { y = add(%x, %c) } with %x from outside and %c = 2   ->   graph (%x) { %y = add(%x, 2); return
// (%y) }
#include "fxq/tracer/opened_body.h"

#include <algorithm>

#include "fxq/tracer/block_writes.h"
#include "fxq/tracer/tensor_writes.h"

namespace fxq {

namespace jit = torch::jit;

void add_captured(const jit::Block* block, Captured& captured) {
  const auto graph = std::make_shared<jit::Graph>();
  const size_t own = block->inputs().size();
  std::vector<const jit::Value*> values, constants;
  std::unordered_map<const jit::Value*, jit::Value*> known;
  graph->block()->cloneFrom(const_cast<jit::Block*>(block), [&](jit::Value* value) {
    jit::Value*& input = known[value];
    if (input) return input;
    if (value->node()->kind() == jit::prim::Constant) {  // says which branches are dead
      constants.push_back(value);
      jit::Node* copy = graph->createClone(value->node(), [](jit::Value* v) { return v; });
      return input = graph->prependNode(copy)->output();
    }
    input = graph->addInput();
    input->setType(value->type());
    values.push_back(value);
    return input;
  });
  const BlockWrites writes = container_writes(*graph);
  for (const size_t index : writes.inputs) {
    if (index < own) {
      captured.own_written.insert(index);
    } else {
      captured.written.insert(values[index - own]);
    }
  }
  for (const size_t index : tensor_writes(*graph)) {
    if (graph->inputs()[index]->type()->kind() != c10::TypeKind::TensorType) {
      captured.writes_items = true;
      continue;
    }
    if (index >= own) captured.written.insert(values[index - own]);
    if (index < own) captured.own_written.insert(index);
  }
  captured.writes_inside |= !writes.items.empty();
  values.insert(values.end(), constants.begin(), constants.end());
  for (const jit::Value* value : values) {
    const bool seen =
        std::find(captured.values.begin(), captured.values.end(), value) != captured.values.end();
    if (!seen) captured.values.push_back(value);
  }
}

bool is_tensor(const Value& value) {
  return value.type && value.type->kind() == c10::TypeKind::TensorType;
}

bool share_memory(const ValuePtr& one, const ValuePtr& other) {
  std::set<const Storage*> known;
  for_each_part(one, [&](const ValuePtr& part) { known.insert(part->storage.get()); });
  known.erase(nullptr);
  bool found = false;
  for_each_part(other,
                [&](const ValuePtr& part) { found |= known.count(part->storage.get()) != 0; });
  return found;
}

bool shows(const ValuePtr& value, const Value& tensor) {
  bool found = false;
  for_each_part(value, [&](const ValuePtr& part) {
    found |= part.get() != &tensor && part->storage && part->storage == tensor.storage;
  });
  return found;
}

bool changes_with(const ValuePtr& other, const ValuePtr& written) {
  return other == written || (is_tensor(*written) && shows(other, *written));
}

std::vector<Node*> nodes_in(const std::vector<ValuePtr>& values) {
  std::vector<Node*> nodes;
  for (const ValuePtr& value : values) {
    for_each_part(value, [&](const ValuePtr& part) {
      if (!part->is(Value::Kind::kNode)) return;
      if (std::find(nodes.begin(), nodes.end(), part->node) == nodes.end()) {
        nodes.push_back(part->node);
      }
    });
  }
  return nodes;
}

OpenedBody::OpenedBody(ScriptReader& outer)
    : outer_(outer), reader_(gm_, outer.script_, outer.options_) {
  ScriptReader::Frame frame;
  frame.site = outer.frame().site;
  frame.library = outer.frame().library;
  frame.call_source = outer.frame().call_source;
  reader_.frames_.push_back(std::move(frame));
  gm_.train(outer.options_.training);
}

ValuePtr OpenedBody::input(const std::string& name, const c10::TypePtr& type) {
  ValuePtr value = reader_.emitter().placeholder(name, type);
  value->from_data = true;
  return value;
}

void OpenedBody::take_operands(const std::vector<Node*>& nodes) {
  for (Node* node : nodes) {
    placeholders_[node] = gm_.graph().placeholder(node->name(), node->type);
  }
}

ValuePtr OpenedBody::inside(const ValuePtr& outer) {
  ValuePtr& known = mirrored_[outer.get()];
  if (known) return known;
  if (outer->is(Value::Kind::kModule) || outer->is(Value::Kind::kPoison)) return known = outer;
  if (outer->is(Value::Kind::kNode)) {
    known = make_node_value(placeholders_.at(outer->node), outer->type);
    known->storage->external = true;
    known->from_data = outer->from_data;
    return known;
  }
  const ValuePtr copy = std::make_shared<Value>(*outer);
  known = copy;
  copy->storage = nullptr;
  for (ValuePtr& item : copy->items) item = inside(item);
  for (ValuePtr& key : copy->keys) key = inside(key);
  return copy;
}

std::vector<ValuePtr> OpenedBody::run(const jit::Block* block) {
  reader_.run_block(block);
  std::vector<ValuePtr> outputs;
  for (const jit::Value* output : block->outputs()) outputs.push_back(reader_.get(output));
  return outputs;
}

GraphModule OpenedBody::finish(std::vector<ValuePtr> outputs) {
  if (reader_.problems_.empty()) {
    reader_.emitter().output(make_items(Value::Kind::kTuple, std::move(outputs), nullptr));
    remove_dead_nodes(gm_);
  }
  for (const std::string& text : reader_.guards_) outer_.guard(text);
  std::vector<std::string>& problems = outer_.problems_;
  for (const std::string& text : reader_.problems_) {
    if (std::find(problems.begin(), problems.end(), text) == problems.end()) {
      problems.push_back(text);
    }
  }
  return std::move(gm_);
}

}  // namespace fxq
