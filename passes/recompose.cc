//   %s = sigmoid(%x)
//   %y = mul(%x, %s)   ->   %y = silu(%x)
//
//   %a = reshape(%x, [1,2,4,5,5])
//   %b = transpose(%a, 1, 2)
//   %y = reshape(%b, [1,8,5,5])   ->   %y = channel_shuffle(%x, 2)
#include "fxq/passes/recompose.h"

#include <algorithm>

#include "fxq/base/status.h"
#include "fxq/graph/view.h"
#include "fxq/passes/rewriter.h"

namespace fxq {
namespace {

bool swaps_groups(const OpView& transpose) {
  const int rank = transpose.operand(0)->type.rank();
  int64_t first = transpose.attr_int("dim0"), second = transpose.attr_int("dim1");
  if (first < 0) first += rank;
  if (second < 0) second += rank;
  return (first == 1 && second == 2) || (first == 2 && second == 1);
}

// [N, C, ...] -> [N, groups, C / groups, ...] and, later, [N, C, ...] again.
bool splits_channels(const Type& x, const Type& grouped, const Type& joined) {
  if (!x.dims || !grouped.dims || !joined.dims || x.rank() < 3 || grouped.rank() != x.rank() + 1) {
    return false;
  }
  const std::vector<Dim>& from = *x.dims;
  const std::vector<Dim>& to = *grouped.dims;
  const bool known = from[1].is_known() && to[1].is_known() && to[2].is_known();
  return known && to[1].size * to[2].size == from[1].size && from[0] == to[0] &&
         std::equal(from.begin() + 2, from.end(), to.begin() + 3) && *joined.dims == from;
}

Action shuffle(const Pat& x, const Pat& grouped, const Pat& swapped) {
  auto print = [=](std::vector<const PatNode*>& wildcards) {
    return "channel_shuffle(" + to_string(x, wildcards) + ")";
  };
  auto refuse = [=](const GraphModule& gm, const Match& match, const RewriteScope&) {
    const bool fits = swaps_groups(OpView(gm, match.at(swapped))) &&
                      splits_channels(match.at(x)->type, match.at(grouped)->type, match.root->type);
    return std::string(fits ? ""
                            : "it does not shuffle groups of channels, or types are not known");
  };
  auto apply = [=](GraphModule& gm, const Match& match) -> absl::StatusOr<Node*> {
    const InsertionPoint point(gm.graph(), match.root);
    const int64_t groups = (*match.at(grouped)->type.dims)[1].size;
    return gm.graph().call_op(OpId::kChannelShuffle, {Argument(match.at(x)), Argument(groups)});
  };
  return Action(print, refuse, apply);
}

}  // namespace

const RuleSet& recompose_rules() {
  static const auto* rules = [] {
    using namespace pat;
    const Pat x;
    const Pat grouped = Reshape(x).any_attrs();
    const Pat swapped = Transpose(grouped).any_attrs();
    const Pat joined = Reshape(swapped).any_attrs();
    return new RuleSet{
        {"channel_shuffle", joined, shuffle(x, grouped, swapped)},
        {"silu", Mul(x, Sigmoid(x)), Silu(x)},
        {"hardswish", Mul(x, Hardsigmoid(x)), Hardswish(x)},
    };
  }();
  return *rules;
}

absl::StatusOr<bool> recompose(GraphModule& gm) {
  FXQ_ASSIGN_OR_RETURN(const RewriteStats stats, rewrite(gm, recompose_rules()));
  if (stats.rewrites != 0) gm.remove_unused();
  return stats.rewrites != 0;
}

}  // namespace fxq
