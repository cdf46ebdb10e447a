//   %d = dropout(%x, 0.5, false)      %y = relu(%x)
//   %y = relu(%d)                 ->
// Which ops do nothing says the op table: their kernel is Identity; and a cat of one tensor. A copy
// may have been made on purpose: for a later write into it, for a caller who may write into what
// the graph returns, or for the dense layout that `view` and ops outside the table may rely on.
#include <algorithm>

#include "fxq/base/status.h"
#include "fxq/graph/view.h"
#include "fxq/passes/cleanup.h"
#include "fxq/passes/effects.h"

namespace fxq {
namespace {

// dropout_ writes what dropout returns: in eval mode, nothing.
OpId op_without_writing(const Node& node) {
  if (node.op() != OpId::kNone || !node.is(NodeKind::kCallFunction)) return node.op();
  const std::string& target = node.target();
  return target.back() == '_' ? find_callee(target.substr(0, target.size() - 1)).op : OpId::kNone;
}

// cat([x])
bool joins_one(const Node& node) {
  const std::vector<Argument>* items =
      node.op() == OpId::kCat && !node.args().empty() ? node.args()[0].items() : nullptr;
  return items && items->size() == 1 && node.inputs().size() == 1;
}

bool does_nothing(const Node& node) {
  if (!joins_one(node) && op_def(op_without_writing(node)).kernel != "Identity") return false;
  if (node.inputs().size() != 1) return false;
  return !node.kwarg(kEpilogueAdd) && !node.kwarg(kEpilogueActivation);
}

bool copies(const Node& node) {
  return node.op() == OpId::kClone || node.op() == OpId::kContiguous || joins_one(node);
}

bool is_needed(const GraphModule& gm, const Node& node, bool has_barriers) {
  if (runs_in_training_mode(gm, node)) return true;
  if (node.op() == OpId::kDetach && (gm.is_training() || has_barriers))
    return true;  // has sizes of its own
  if (!copies(node)) return false;
  if (has_barriers) return true;
  return std::any_of(node.users().begin(), node.users().end(),
                     [](const Node* user) { return user->op() == OpId::kNone; });
}

// reshape(x) is view(x) wherever view works, and works on any layout.
void replace_views(Graph& graph) {
  for (Node* node : std::vector<Node*>(graph.find_all(OpId::kView))) {
    Kwargs kwargs = node->kwargs();
    for (auto& [key, value] : kwargs) {
      if (key == "size") key = "shape";
    }
    graph.set_kwargs(node, std::move(kwargs));
    const std::string target(op_def(OpId::kReshape).overloads[0]);
    graph.set_target(node, target, find_callee(target));
  }
}

}  // namespace

absl::StatusOr<bool> remove_identity(GraphModule& gm) {
  const bool has_barriers = !barriers(gm.graph()).empty();
  bool changed = false;
  bool lost_copy = false;
  for (Node* node : gm.graph().nodes()) {
    if (!node->is_call() || !does_nothing(*node) || is_needed(gm, *node, has_barriers)) {
      continue;
    }
    lost_copy |= copies(*node);
    gm.graph().replace_all_uses(node, node->inputs()[0]);
    FXQ_RETURN_IF_ERROR(gm.graph().erase(node));
    changed = true;
  }
  if (lost_copy) replace_views(gm.graph());
  if (changed) gm.remove_unused();
  return changed;
}

}  // namespace fxq
