// rewrite: applies a RuleSet until no rule fits. A work list, sinks first, holds what may have
// changed, so the work is linear in nodes. No rule is applied across an effect (effects.h).
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "fxq/passes/rule_set.h"

namespace fxq {

struct RewriteStats {
  int64_t steps = 0;     // nodes taken from the work list
  int64_t rewrites = 0;  // rules applied
};

// Near misses ("relu at %r: %c has 2 users") are appended to gm.notes in program order.
absl::StatusOr<RewriteStats> rewrite(GraphModule& gm, const RuleSet& rules);

}  // namespace fxq
