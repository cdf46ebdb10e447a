// A barrier writes or has another effect of its own; drawing random numbers alone makes none, nor
// does a guard, which reads numbers.
#include "fxq/passes/effects.h"

#include <ATen/core/function_schema.h>

#include <algorithm>

#include "fxq/graph/naming.h"
#include "fxq/graph/op_module.h"
#include "fxq/graph/view.h"

namespace fxq {

bool is_barrier(const Node& node) {
  if (!node.is_call() || !is_impure(node)) return false;
  if (node.op() != OpId::kNone && op_def(node.op()).rule == Rule::kNotTensor) return false;
  const c10::FunctionSchema* schema = node.schema();
  const bool only_random =
      schema && schema->name().rfind("aten::", 0) == 0 && !schema->is_mutable();
  return !only_random;
}

std::vector<const Node*> barriers(const Graph& graph) {
  std::vector<const Node*> result;
  for (const Node* node : graph.nodes()) {
    if (is_barrier(*node)) result.push_back(node);
  }
  return result;
}

bool barrier_between(const std::vector<const Node*>& barriers, const Node* a, const Node* b) {
  if (barriers.empty()) return false;
  if (b->is_before(a)) std::swap(a, b);
  auto before = [](const Node* x, const Node* y) { return x->is_before(y); };
  auto it = std::lower_bound(barriers.begin(), barriers.end(), a, before);
  return it != barriers.end() && !b->is_before(*it);
}

bool runs_in_training_mode(const GraphModule& gm, const Node& node) {
  if (const OpModule* module = gm.op_module(node); module && module->follows_mode()) {
    return module->is_training();
  }
  if (node.follows_mode) return gm.is_training();
  const OpView view(gm, &node);
  return std::any_of(kModeArguments.begin(), kModeArguments.end(),
                     [&](const char* name) { return view.attr_bool(name); });
}

}  // namespace fxq
