// return (%a, %b, %a)  ->  anchors %a, %b
#include "fxq/passes/pattern_graph.h"

#include <algorithm>
#include <unordered_set>

namespace fxq {

PatternGraph::PatternGraph(const GraphModule& pattern) : pattern_(pattern) {
  const Node* output = pattern.graph().output_node();
  if (!output) return;
  anchors_.assign(output->inputs().begin(), output->inputs().end());
  std::unordered_set<const Node*> needed(anchors_.begin(), anchors_.end());
  for (const Node* node = output; node; node = node->prev()) {
    if (needed.count(node) == 0) continue;
    order_.push_back(node);
    needed.insert(node->inputs().begin(), node->inputs().end());
  }
  std::reverse(order_.begin(), order_.end());
  for (const Node* node : order_) {
    if (node->is_call()) arguments_[node] = call_arguments(pattern, *node);
  }
}

absl::Status PatternGraph::check() const {
  if (anchors_.empty()) {
    return absl::InvalidArgumentError(
        "a pattern returns what it matches; this one returns no value");
  }
  for (const Node* anchor : anchors_) {
    if (anchor->is_call()) continue;
    return absl::InvalidArgumentError(
        "a pattern returns results of calls; %" + anchor->name() +
        " is computed by none, so there would be nothing to look for");
  }
  return absl::OkStatus();
}

bool PatternGraph::is_anchor(const Node* node) const {
  return std::find(anchors_.begin(), anchors_.end(), node) != anchors_.end();
}

PatternGraph::Near PatternGraph::nearest_bound(const Node* call,
                                               const std::function<bool(const Node*)>& is_bound) {
  std::vector<const Node*> layer = {call};
  std::unordered_set<const Node*> seen = {call};
  for (int distance = 1; !layer.empty(); ++distance) {
    std::vector<const Node*> above;
    for (const Node* node : layer) {
      for (const Node* input : node->inputs()) {
        if (is_bound(input)) return {input, distance};
        if (seen.insert(input).second) above.push_back(input);
      }
    }
    layer = std::move(above);
  }
  return {};
}

}  // namespace fxq
