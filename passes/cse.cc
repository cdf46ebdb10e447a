//   %a = relu(%x)      %a = relu(%x)
//   %b = relu(%x)  ->  %c = add(%a, %a)
//   %c = add(%a, %b)
// Nothing is merged in a graph that writes into tensors (a write into one would reach the other),
// nor calls that are random or in training mode, nor two values that are both returned.
#include <algorithm>
#include <unordered_map>

#include "fxq/base/status.h"
#include "fxq/passes/cleanup.h"
#include "fxq/passes/effects.h"

namespace fxq {
namespace {

bool is_returned(const Node& node) {
  return std::any_of(node.users().begin(), node.users().end(),
                     [](const Node* user) { return user->is(NodeKind::kOutput); });
}

bool can_merge(const GraphModule& gm, const Node& node) {
  if (node.is(NodeKind::kGetAttr)) return true;
  if (!node.is_call() || node.is(NodeKind::kCallMethod)) return false;
  return !is_impure(node) && !runs_in_training_mode(gm, node);
}

// Two nodes with one key compute one value: names of nodes are unique.
std::string key_of(const Node& node) {
  std::string key = std::string(kind_name(node.kind())) + " " + node.target();
  for (const Argument& argument : node.args()) key += "\n" + argument.to_string();
  Kwargs kwargs = node.kwargs();
  std::sort(kwargs.begin(), kwargs.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [name, value] : kwargs) key += "\n" + name + "=" + value.to_string();
  return key;
}

}  // namespace

absl::StatusOr<bool> cse(GraphModule& gm) {
  Graph& graph = gm.graph();
  if (!barriers(graph).empty()) return false;
  std::unordered_map<std::string, Node*> known;
  bool changed = false;
  for (Node* node : graph.nodes()) {
    if (!can_merge(gm, *node)) continue;
    auto [it, is_new] = known.emplace(key_of(*node), node);
    if (is_new || (is_returned(*node) && is_returned(*it->second))) continue;
    graph.replace_all_uses(node, it->second);
    FXQ_RETURN_IF_ERROR(graph.erase(node));
    changed = true;
  }
  return changed;
}

}  // namespace fxq
