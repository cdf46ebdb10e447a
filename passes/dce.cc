//   %a = relu(%x)           removed: no users, nothing to notice
//   %b = aten::mul_(%x, 2)  kept: it writes into %x
// In reverse program order, so that one sweep is enough.
#include "fxq/base/status.h"
#include "fxq/passes/cleanup.h"
#include "fxq/passes/effects.h"

namespace fxq {
namespace {

// Batch statistics are counted, and random numbers drawn, by calls whose schema does not say so.
bool can_be_removed(const GraphModule& gm, const Node& node) {
  if (is_impure(node)) return false;
  return !node.is_call() || !runs_in_training_mode(gm, node);
}

}  // namespace

absl::StatusOr<bool> dce(GraphModule& gm) {
  bool changed = false;
  Node* previous = nullptr;
  for (Node* node = gm.graph().last(); node; node = previous) {
    previous = node->prev();
    if (!node->users().empty() || !can_be_removed(gm, *node)) continue;
    FXQ_RETURN_IF_ERROR(gm.graph().erase(node));
    changed = true;
  }
  return gm.remove_unused() != 0 || changed;
}

}  // namespace fxq
