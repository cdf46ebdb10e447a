// graph(%y, %i): %row = select(%y, 0, %i); aten::copy_(%row, %x)    ->    input 0 is written
#include "fxq/tracer/tensor_writes.h"

#include <ATen/core/function_schema.h>
#include <torch/csrc/jit/ir/ir.h>

#include "fxq/tracer/aliases.h"

namespace fxq {
namespace {

namespace jit = torch::jit;
namespace prim = torch::jit::prim;

// Where the memory of a tensor may come from.
class MemoryOrigins {
 public:
  MemoryOrigins(const jit::Graph& graph, std::set<size_t>& inputs)
      : graph_(graph), inputs_(inputs) {}

  void visit(const jit::Value* value) {
    if (!seen_.insert(value).second) return;
    const jit::Node* node = value->node();
    if (node->kind() == prim::Param) return visit_parameter(value);
    if (node->kind() == prim::If || node->kind() == prim::Loop) return visit_result(value);
    if (node->kind() == prim::unchecked_cast || node->kind() == prim::TupleIndex ||
        node->kind() == prim::ListUnpack || node->kind() == prim::TupleUnpack) {
      return visit(node->input(0));
    }
    if (node->kind() == prim::ListConstruct || node->kind() == prim::TupleConstruct) {
      for (const jit::Value* input : node->inputs()) visit(input);
    }
    const c10::FunctionSchema* schema = node->maybeSchema();
    const auto base = schema ? aliased_argument(*schema, value->offset()) : std::nullopt;
    if (base) visit(node->inputs()[*base]);
  }

 private:
  void visit_parameter(const jit::Value* value) {
    const jit::Block* block = value->node()->owningBlock();
    const jit::Node* owner = block->owningNode();
    const size_t index = value->offset();
    if (block == graph_.block()) {
      inputs_.insert(index);
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
  std::set<size_t>& inputs_;
  std::set<const jit::Value*> seen_;
};

void collect(const jit::Graph& graph, const jit::Block* block, std::set<size_t>& inputs) {
  for (const jit::Node* node : block->nodes()) {
    for (const jit::Block* inner : node->blocks()) collect(graph, inner, inputs);
    const c10::FunctionSchema* schema = node->maybeSchema();
    const auto written = schema ? written_argument(*schema) : std::nullopt;
    if (!written) continue;
    const jit::Value* target = node->inputs()[*written];
    if (target->type()->kind() != c10::TypeKind::TensorType) continue;
    MemoryOrigins(graph, inputs).visit(target);
  }
}

}  // namespace

std::set<size_t> tensor_writes(const torch::jit::Graph& graph) {
  std::set<size_t> inputs;
  collect(graph, graph.block(), inputs);
  return inputs;
}

}  // namespace fxq
