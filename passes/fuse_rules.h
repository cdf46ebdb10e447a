// The rules behind fuse_fx. A weighted op takes in the batch norm after it (its weights change),
// then an add and an activation (its epilogue); other elementwise ops take an activation.
#pragma once

#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"
#include "fxq/passes/rule_set.h"

namespace fxq {

// weighted + batch norm.
const RuleSet& batch_norm_rules();
// {weighted} x {add} x {activation}, and {batch_norm, add, sub, mul} x {activation}.
const RuleSet& fusion_rules();

// The action of batch_norm_rules: in training mode the batch norm goes on training, inside of a
// WeightedBnModule. Refused for a module that is used more than once, and where the batch norm's
// channels are not the weighted op's. `weighted` must be a module.
Action fold_batch_norm(const Pat& weighted);

// The passes of these names; "fuse" is both rule sets, one after the other. In eval mode,
// fold_batch_norm folds WeightedBnModules too; fuse leaves them, for they may train again.
absl::StatusOr<bool> fold_batch_norm(GraphModule& gm);
absl::StatusOr<bool> fuse(GraphModule& gm);

}  // namespace fxq
