// The rules behind fuse_fx: weighted op, batch norm, add and activation become one call: the base
// op plus an epilogue. The table of combinations is in fuse_rules.cc.
#pragma once

#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"
#include "fxq/passes/rule_set.h"

namespace fxq {

const RuleSet& fusion_rules();

// The pass "fuse": applies the rules until none fits. Why a near miss was refused stands in
// gm.notes. Functional weighted ops are fused only after "modularize".
absl::StatusOr<bool> fuse(GraphModule& gm);

}  // namespace fxq
