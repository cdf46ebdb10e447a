//   %s = sigmoid(%x)
//   %y = mul(%x, %s)   ->   %y = silu(%x)
#include "fxq/passes/recompose.h"

#include "fxq/base/status.h"
#include "fxq/passes/rewriter.h"

namespace fxq {

const RuleSet& recompose_rules() {
  static const auto* rules = [] {
    using namespace pat;
    const Pat x;
    return new RuleSet{
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
