// Ops that were written out by hand become the op itself: one table instead of three steps when
// quantized. The list of them is in recompose.cc.
#pragma once

#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"
#include "fxq/passes/rule_set.h"

namespace fxq {

const RuleSet& recompose_rules();
absl::StatusOr<bool> recompose(GraphModule& gm);  // the pass of this name

}  // namespace fxq
