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

}  // namespace fxq
