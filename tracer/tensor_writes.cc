// graph(%y, %i): %row = select(%y, 0, %i); aten::copy_(%row, %x)    ->    input 0 is written
#include "fxq/tracer/tensor_writes.h"

#include <ATen/core/function_schema.h>
#include <torch/csrc/jit/ir/constants.h>
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

c10::optional<bool> known_condition(const jit::Value* value);

// The branch that is taken; null if that is not known.
const jit::Block* known_branch(const jit::Node* node) {
  if (node->kind() != prim::If) return nullptr;
  const auto condition = known_condition(node->input());
  return condition ? node->blocks()[*condition ? 0 : 1] : nullptr;
}

// A constant; `a and b`, which is an If; `not a`; `none is None`.
c10::optional<bool> known_condition(const jit::Value* value) {
  const jit::Node* node = value->node();
  if (node->kind() == prim::Constant) {
    const auto constant = jit::toIValue(value);
    return constant && constant->isBool() ? c10::make_optional(constant->toBool()) : c10::nullopt;
  }
  if (const jit::Block* branch = known_branch(node)) {
    return known_condition(branch->outputs()[value->offset()]);
  }
  if (node->kind() == jit::aten::__not__) {
    const auto inner = known_condition(node->input());
    return inner ? c10::make_optional(!*inner) : c10::nullopt;
  }
  const bool is = node->kind() == jit::aten::__is__;
  if (!is && node->kind() != jit::aten::__isnot__) return c10::nullopt;
  const c10::TypeKind left = node->input(0)->type()->kind(), right = node->input(1)->type()->kind();
  const bool none = left == c10::TypeKind::NoneType || right == c10::TypeKind::NoneType;
  if (none && left == right) return is;
  if (none && (left == c10::TypeKind::TensorType || right == c10::TypeKind::TensorType)) return !is;
  return c10::nullopt;
}

void collect(const jit::Graph& graph, const jit::Block* block, std::set<size_t>& inputs) {
  for (const jit::Node* node : block->nodes()) {
    const jit::Block* taken = known_branch(node);  // `if inplace:` of torch's own functions
    for (const jit::Block* inner : node->blocks()) {
      if (!taken || inner == taken) collect(graph, inner, inputs);
    }
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
