// Finds where a graph computes what a pattern graph computes. The pattern is an ordinary
// GraphModule: its placeholders stand for any value, its calls for calls of the same op, whatever
// their spelling (nn.ReLU, F.relu, x.relu()), and what it returns are the anchors. As in torch.fx:
// - an argument that is a placeholder takes what stands there: a node, or a constant (a literal is
//   bound); the same placeholder twice means the same thing; all other arguments must be equal,
//   whether written or default. The tensors of modules are captured, not compared;
// - a value in between may not be used outside the match; anchors and inputs may.
// Beyond torch.fx: operands of commutative ops match both ways, and nothing matches across an
// effect that is not part of the match.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"

namespace fxq {

// One place where the pattern fits. Everything is found by the pattern's own names. Borrows nodes.
struct PatternMatch {
  std::vector<Node*> anchors;              // what the pattern returns, each once, in its order
  std::map<std::string, Node*> calls;      // by the name of the pattern's call
  std::map<std::string, Argument> inputs;  // by the placeholder's name: a node or a constant
  // Placeholders that stand for a tensor of a matched module: "layer1.conv.weight".
  std::map<std::string, std::string> tensors;
  std::map<std::string, std::string> modules;  // the pattern's module path: the matched one's

  Node* call(std::string_view name) const;      // nullptr if there is none
  Argument input(std::string_view name) const;  // none if there is none
  bool contains(const Node* node) const;        // one of the calls
};

// Says whether a match counts; it may look at types, attributes, weights.
using MatchFilter = std::function<bool(const GraphModule& gm, const PatternMatch& match)>;

struct MatchOptions {
  std::vector<MatchFilter> filters;  // all must agree
  bool ignore_literals = false;      // constants need not be equal
  bool overlapping = false;          // false: of two matches that share a call, the first counts
};

// In the program order of the first anchor. InvalidArgument if the pattern returns no call.
// A place that fits but for a user outside or an effect is noted in `notes`, if it is given.
absl::StatusOr<std::vector<PatternMatch>> find_matches(const GraphModule& gm,
                                                       const GraphModule& pattern,
                                                       const MatchOptions& options = {},
                                                       std::vector<std::string>* notes = nullptr);

}  // namespace fxq
