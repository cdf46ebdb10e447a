// graph(%ys): prim::If(...) { aten::append(%ys, %x) }    ->    input 0 changes
// A variable of a loop or the result of an if may be any of the values that flow into it.
#include "fxq/tracer/block_writes.h"

#include <ATen/core/function_schema.h>
#include <torch/csrc/jit/ir/ir.h>

#include "fxq/tracer/aliases.h"

namespace fxq {
namespace {

namespace jit = torch::jit;
namespace prim = torch::jit::prim;

bool is_container(const jit::Value& value) {
  const c10::TypeKind kind = value.type()->kind();
  return kind == c10::TypeKind::ListType || kind == c10::TypeKind::DictType;
}

// Where a container may come from: the inputs of the graph that reach it through branches and
// loops.
class Origins {
 public:
  explicit Origins(const jit::Graph& graph) : graph_(graph) {}

  void visit(const jit::Value* value) {
    if (!seen_.insert(value).second) return;
    const jit::Node* node = value->node();
    if (node->kind() == prim::Param) return visit_parameter(value);
    if (node->kind() == prim::If || node->kind() == prim::Loop) return visit_result(value);
    // Constructed here, or returned by a call; an item of a container may be shared with others.
    const bool item = !node->inputs().empty() && is_container(*node->input(0)) &&
                      (node->kind() == jit::aten::__getitem__ || node->kind() == jit::aten::select);
    is_item |= item || node->kind() == prim::ListUnpack;
  }

  std::set<size_t> inputs;
  bool is_item = false;

 private:
  void visit_parameter(const jit::Value* value) {
    const jit::Block* block = value->node()->owningBlock();
    const size_t index = value->offset();
    const jit::Node* owner = block->owningNode();
    if (block == graph_.block()) {
      inputs.insert(index);
    } else if (owner->kind() == prim::Loop && index > 0) {
      visit(owner->inputs()[index + 1]);
      visit(block->outputs()[index]);
    }
  }

  void visit_result(const jit::Value* value) {
    const jit::Node* node = value->node();
    const bool loop = node->kind() == prim::Loop;
    for (const jit::Block* block : node->blocks()) {
      visit(block->outputs()[value->offset() + (loop ? 1 : 0)]);
    }
    if (loop) visit(node->inputs()[value->offset() + 2]);
  }

  const jit::Graph& graph_;
  std::set<const jit::Value*> seen_;
};

void collect(const jit::Graph& graph, const jit::Block* block, BlockWrites& writes) {
  for (const jit::Node* node : block->nodes()) {
    for (const jit::Block* inner : node->blocks()) collect(graph, inner, writes);
    const c10::FunctionSchema* schema = node->maybeSchema();
    const auto written = schema ? written_argument(*schema) : std::nullopt;
    if (!written || !is_container(*node->inputs()[*written])) continue;
    Origins origins(graph);
    origins.visit(node->inputs()[*written]);
    if (origins.is_item) writes.refusal = "it changes a list or dict that is inside another";
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
