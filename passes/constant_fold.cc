//   %t = get_attr @table        %e = get_attr @exp
//   %e = exp(%t)            ->
// Calls of pure operators on frozen tensors are computed once. Tensors that train stay variable; so
// does everything in a graph that writes into tensors.
#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "fxq/base/status.h"
#include "fxq/graph/interpreter.h"
#include "fxq/passes/cleanup.h"
#include "fxq/passes/constants.h"
#include "fxq/passes/effects.h"

namespace fxq {
namespace {

// What counts as constant.
enum class Constants { kFrozen, kParametersToo };

bool is_constant(const GraphModule& gm, const Node& node, Constants constants) {
  if (!node.is(NodeKind::kGetAttr)) return false;
  const at::Tensor tensor = gm.tensor(node.target());
  if (!tensor.defined()) return false;
  return constants == Constants::kParametersToo || !tensor.requires_grad();
}

bool can_fold(const GraphModule& gm, const Node& node, Constants constants) {
  if (!node.is(NodeKind::kCallFunction) || node.inputs().empty()) return false;
  if (is_impure(node) || runs_in_training_mode(gm, node)) return false;
  for (const Node* input : node.inputs()) {
    if (!is_constant(gm, *input, constants)) return false;
  }
  return true;
}

// The node alone, in a graph of its own.
absl::StatusOr<c10::IValue> compute(const GraphModule& gm, const Node& node) {
  GraphModule alone;
  std::unordered_map<const Node*, Node*> copies;
  auto map = [&](Node* input) { return Argument(copies.at(input)); };
  for (const Node* input : node.inputs()) {
    copies[input] = alone.graph().node_copy(input, map);
    alone.set_tensor(input->target(), gm.tensor(input->target()));
  }
  alone.graph().output(alone.graph().node_copy(&node, map));
  return alone.forward({});
}

// A parameter that is spread out (expand, repeat) stays as small as it is.
bool is_worth_it(const GraphModule& gm, const Node& node, const at::Tensor& value) {
  int64_t largest = int64_t{1} << 16;
  for (const Node* input : node.inputs()) {
    largest = std::max(largest, gm.tensor(input->target()).numel());
  }
  return value.numel() <= largest;
}

absl::StatusOr<bool> fold(GraphModule& gm, Constants constants) {
  if (!barriers(gm.graph()).empty()) return false;
  bool changed = false;
  for (Node* node : gm.graph().nodes()) {
    if (!can_fold(gm, *node, constants)) continue;
    absl::StatusOr<c10::IValue> value = compute(gm, *node);
    // What fails or is no tensor stays as it is: running the graph reports the failure.
    if (!value.ok() || !value->isTensor()) continue;
    const bool all = constants == Constants::kFrozen;
    if (!all && !is_worth_it(gm, *node, value->toTensor())) continue;
    replace_by_constant(gm, node, value->toTensor().detach());
    const std::vector<Node*> inputs(node->inputs().begin(), node->inputs().end());
    FXQ_RETURN_IF_ERROR(gm.graph().erase(node));
    for (Node* input : inputs) {
      if (input->users().empty()) FXQ_RETURN_IF_ERROR(gm.graph().erase(input));
    }
    changed = true;
  }
  if (changed) gm.remove_unused();
  return changed;
}

}  // namespace

absl::StatusOr<bool> constant_fold(GraphModule& gm) { return fold(gm, Constants::kFrozen); }

absl::StatusOr<bool> fold_parameters(GraphModule& gm) {
  if (gm.is_training()) return false;
  return fold(gm, Constants::kParametersToo);
}

}  // namespace fxq
