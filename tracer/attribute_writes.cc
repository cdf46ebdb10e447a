// if %c: prim::SetAttr[name="h"](%self, %x)    ->    %h.1 = prim::If(%c): -> (%x) else: -> (%h)
#include "fxq/tracer/attribute_writes.h"

#include <torch/csrc/jit/ir/ir.h>

#include <algorithm>

namespace fxq {
namespace {

namespace jit = torch::jit;
namespace prim = torch::jit::prim;

const std::string& name_of(const jit::Node* access) { return access->s(jit::attr::name); }

}  // namespace

AttributeWrites::Key AttributeWrites::key_of(const jit::Node* access) const {
  return {object_of_(access->inputs()[0]), name_of(access)};
}

void AttributeWrites::find(jit::Block* block, std::vector<Written>& found) const {
  for (jit::Node* node : block->nodes()) {
    for (jit::Block* inner : node->blocks()) find(inner, found);
    if (node->kind() != prim::SetAttr || !object_of_(node->inputs()[0])) continue;
    const Key key = key_of(node);
    const bool known = std::any_of(found.begin(), found.end(), [&](const Written& each) {
      return Key(each.object, each.name) == key;
    });
    if (!known) found.push_back({node, key.first, key.second, nullptr});
  }
}

std::vector<AttributeWrites::Written> AttributeWrites::run(jit::Graph& graph,
                                                           const ValueBefore& before) {
  std::vector<Written> found;
  find(graph.block(), found);
  Values values;
  for (const Written& each : found) values[{each.object, each.name}] = before(each.set);
  if (!found.empty()) run_block(graph.block(), values);
  for (Written& each : found) each.after = values.at({each.object, each.name});
  for (auto it = dead_.rbegin(); it != dead_.rend(); ++it) (*it)->destroy();
  return found;
}

void AttributeWrites::run_block(jit::Block* block, Values& values) {
  const std::vector<jit::Node*> nodes(block->nodes().begin(), block->nodes().end());
  for (jit::Node* node : nodes) {
    if (node->kind() == prim::GetAttr || node->kind() == prim::SetAttr) {
      run_access(node, values);
    } else if (node->kind() == prim::If) {
      run_if(node, values);
    } else if (node->kind() == prim::Loop) {
      run_loop(node, values);
    }
  }
}

void AttributeWrites::run_access(jit::Node* node, Values& values) {
  const auto known = values.find(key_of(node));
  if (known == values.end()) return;
  if (node->kind() == prim::SetAttr) {
    known->second = node->inputs()[1];
  } else {
    node->output()->replaceAllUsesWith(known->second);
  }
  dead_.push_back(node);
}

void AttributeWrites::run_if(jit::Node* node, Values& values) {
  Values first = values, second = values;
  run_block(node->blocks()[0], first);
  run_block(node->blocks()[1], second);
  for (auto& [key, value] : values) {
    if (first[key] == value && second[key] == value) continue;
    node->blocks()[0]->registerOutput(first[key]);
    node->blocks()[1]->registerOutput(second[key]);
    const c10::TypePtr type = value->type();
    value = node->addOutput();
    value->setType(type);
  }
}

void AttributeWrites::run_loop(jit::Node* node, Values& values) {
  jit::Block* body = node->blocks()[0];
  std::vector<Written> set_inside;
  find(body, set_inside);
  Values inside = values;
  for (const Written& each : set_inside) {
    const Key key(each.object, each.name);
    node->addInput(values.at(key));
    inside[key] = body->addInput();
    inside[key]->setType(values.at(key)->type());
  }
  run_block(body, inside);
  for (const Written& each : set_inside) {
    const Key key(each.object, each.name);
    body->registerOutput(inside.at(key));
    const c10::TypePtr type = values.at(key)->type();
    values[key] = node->addOutput();
    values[key]->setType(type);
  }
}

}  // namespace fxq
