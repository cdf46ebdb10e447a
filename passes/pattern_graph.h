// PatternGraph: a pattern's graph, prepared for searching: its anchors, its arguments by name, how
// far apart its calls are. Borrows the module.
#pragma once

#include <functional>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "fxq/graph/call_arguments.h"
#include "fxq/graph/graph_module.h"

namespace fxq {

class PatternGraph {
 public:
  explicit PatternGraph(const GraphModule& pattern);

  // InvalidArgument if it returns nothing, or something that no call computes.
  absl::Status check() const;

  const GraphModule& module() const { return pattern_; }
  const std::vector<Node*>& anchors() const { return anchors_; }  // returned values, each once
  bool is_anchor(const Node* node) const;
  // What the anchors need, every value after its inputs.
  const std::vector<const Node*>& order() const { return order_; }
  const std::vector<CallArgument>& arguments(const Node* call) const { return arguments_.at(call); }

  struct Near {
    const Node* node = nullptr;  // null if nothing above the call is bound
    int distance = 0;            // calls from there down to it
  };
  // Of the values above a call, the nearest that is bound.
  static Near nearest_bound(const Node* call, const std::function<bool(const Node*)>& is_bound);

 private:
  const GraphModule& pattern_;
  std::vector<Node*> anchors_;
  std::vector<const Node*> order_;
  std::unordered_map<const Node*, std::vector<CallArgument>> arguments_;
};

}  // namespace fxq
