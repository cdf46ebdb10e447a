// replace_pattern: torch.fx's, for patterns as text, as GraphModules or as Pats.
//   replace_pattern(gm, "graph (%x) {\n %s = sigmoid(%x)\n %y = mul(%x, %s)\n return %y\n}",
//                       "graph (%x) {\n %y = silu(%x)\n return %y\n}");
// What matches: subgraph_matcher.h. All matches are found first and then replaced, so a replacement
// that contains its own pattern is no endless loop. Placeholders of pattern and replacement belong
// together by position. A module that only the replacement has is copied under a path of its own;
// a path that the pattern has too stands for the matched module. The result takes name, owner and
// source of the value that it replaces; modules that nobody calls any more are dropped.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/passes/rewriter.h"
#include "fxq/passes/subgraph_matcher.h"

namespace fxq {

// One replacement that was made. Nodes of the match that were erased are not in here.
struct Replacement {
  std::vector<Node*> results;  // now in the place of the anchors; null where a constant is
  std::vector<Node*> added;    // all new nodes, in program order
};

struct ReplaceOptions {
  MatchOptions match;
  // Makes the replacement of one match: asked instead of using a fixed one.
  std::function<absl::StatusOr<GraphModule>(const GraphModule& gm, const PatternMatch& match)>
      replacement;
  // Called for each replacement once all are made, to set types or attributes of what was added.
  std::function<absl::Status(GraphModule& gm, const Replacement& made)> on_replaced;
};

// InvalidArgument if pattern and replacement do not belong together, or if a text cannot be read;
// the graph is then as it was. Near misses are appended to gm.notes.
absl::StatusOr<std::vector<Replacement>> replace_pattern(GraphModule& gm,
                                                         const GraphModule& pattern,
                                                         const GraphModule& replacement,
                                                         const ReplaceOptions& options = {});
absl::StatusOr<std::vector<Replacement>> replace_pattern(GraphModule& gm, std::string_view pattern,
                                                         std::string_view replacement,
                                                         const ReplaceOptions& options = {});
// With options.replacement in place of a fixed one.
absl::StatusOr<std::vector<Replacement>> replace_pattern(GraphModule& gm,
                                                         const GraphModule& pattern,
                                                         const ReplaceOptions& options);
// As a rule set of one rule: applied until it fits nowhere.
absl::StatusOr<RewriteStats> replace_pattern(GraphModule& gm, const Pat& before,
                                             const Action& after);

}  // namespace fxq
