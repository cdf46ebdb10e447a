// Shape propagation: runs a graph once on inputs and writes what it saw as the type of every node.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "fxq/graph/graph_module.h"

namespace c10 {
struct IValue;
}

namespace fxq {

// dtype and shape of tensors; the structure of lists, tuples and dicts. Runs in eval mode on clones
// of inputs and buffers, so nothing changes but the types; qparams that nodes already have are
// kept. InvalidArgument names the node that rejects the inputs.
absl::Status propagate_shapes(GraphModule& gm, const std::vector<c10::IValue>& inputs);

// The same for every batch size: runs once more with one sample more. Dims that grow with the batch
// become symbols: "N", or "N_times_12" where 12 rows come of each sample; other changes give '?'.
// The first dim of every tensor that has as many rows as the first input is its batch.
// FailedPrecondition, with the types of `inputs`, if the graph takes no other batch size.
absl::Status propagate_symbolic_shapes(GraphModule& gm, const std::vector<c10::IValue>& inputs);

}  // namespace fxq
