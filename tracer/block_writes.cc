// graph(%ys): prim::If(...) { aten::append(%ys, %x) }    ->    input 0 changes
// A variable of a loop or the result of an if may be any of the values that flow into it.
#include "fxq/tracer/block_writes.h"

#include <ATen/core/function_schema.h>
#include <torch/csrc/jit/ir/ir.h>

#include <utility>

#include "fxq/tracer/aliases.h"

namespace fxq {
namespace {

namespace jit = torch::jit;
namespace prim = torch::jit::prim;

bool is_container(const jit::Value& value) {
  const c10::TypeKind kind = value.type()->kind();
  return kind == c10::TypeKind::ListType || kind == c10::TypeKind::DictType;
}

bool may_hold_containers(const jit::Value& value) {
  const c10::TypeKind kind = value.type()->kind();
  return is_container(value) || kind == c10::TypeKind::TupleType ||
         kind == c10::TypeKind::OptionalType;
}

const c10::AliasInfo* result_alias(const jit::Node& node) {
  const c10::FunctionSchema* schema = node.maybeSchema();
  return schema && !schema->returns().empty() ? schema->returns()[0].alias_info() : nullptr;
}

// The result is the first input itself: a cast, or a call that writes it and returns it.
bool returns_input(const jit::Node& node) {
  if (node.kind() == prim::unchecked_cast || node.kind() == prim::unchecked_unwrap_optional ||
      node.kind() == jit::aten::_unwrap_optional) {
    return true;
  }
  const c10::AliasInfo* alias = result_alias(node);
  return alias && alias->isWrite();
}

// The result lies inside an input: what schemas say by a wildcard, t(*).
bool returns_item(const jit::Node& node) {
  return node.kind() == prim::ListUnpack || node.kind() == prim::TupleUnpack ||
         node.kind() == prim::TupleIndex || result_alias(node) != nullptr;
}

// Where a container may come from: the inputs of the graph that reach it through branches, loops
// and other containers.
class Origins {
 public:
  explicit Origins(const jit::Graph& graph) : graph_(graph) {}

  // inside: it is a part of `value`.
  void visit(const jit::Value* value, bool inside = false) {
    if (!seen_.insert({value, inside}).second) return;
    const jit::Node* node = value->node();
    if (node->kind() == prim::Param) return visit_parameter(value, inside);
    if (node->kind() == prim::If || node->kind() == prim::Loop) return visit_result(value, inside);
    if (returns_input(*node)) return visit(node->input(0), inside);
    if (!inside && !returns_item(*node)) return;  // a container made here
    for (const jit::Value* input : node->inputs()) {
      if (may_hold_containers(*input)) visit(input, true);
    }
  }

  std::set<size_t> inputs;
  std::set<size_t> items;  // inputs whose items they are

 private:
  void visit_parameter(const jit::Value* value, bool inside) {
    const jit::Block* block = value->node()->owningBlock();
    const size_t index = value->offset();
    const jit::Node* owner = block->owningNode();
    if (block == graph_.block()) {
      inputs.insert(index);
      if (inside) items.insert(index);
    } else if (owner->kind() == prim::Loop && index > 0) {
      visit(owner->inputs()[index + 1], inside);
      visit(block->outputs()[index], inside);
    }
  }

  void visit_result(const jit::Value* value, bool inside) {
    const jit::Node* node = value->node();
    const bool loop = node->kind() == prim::Loop;
    for (const jit::Block* block : node->blocks()) {
      visit(block->outputs()[value->offset() + (loop ? 1 : 0)], inside);
    }
    if (loop) visit(node->inputs()[value->offset() + 2], inside);
  }

  const jit::Graph& graph_;
  std::set<std::pair<const jit::Value*, bool>> seen_;
};

void collect(const jit::Graph& graph, const jit::Block* block, BlockWrites& writes) {
  for (const jit::Node* node : block->nodes()) {
    for (const jit::Block* inner : node->blocks()) collect(graph, inner, writes);
    const c10::FunctionSchema* schema = node->maybeSchema();
    const auto written = schema ? written_argument(*schema) : std::nullopt;
    if (!written || !is_container(*node->inputs()[*written])) continue;
    Origins origins(graph);
    origins.visit(node->inputs()[*written]);
    writes.items.insert(origins.items.begin(), origins.items.end());
    writes.inputs.insert(origins.inputs.begin(), origins.inputs.end());
  }
}

}  // namespace

BlockWrites container_writes(const torch::jit::Graph& graph) {
  BlockWrites writes;
  collect(graph, graph.block(), writes);
  return writes;
}

}  // namespace fxq
