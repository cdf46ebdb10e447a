// Values that were computed ahead of time.
#pragma once

#include "fxq/graph/graph_module.h"

namespace fxq {

// Users of `node` read a get_attr of `value`, which has the node's name, owner and source; its type
// is the node's, or the tensor's where that is unknown. The node stays, unused.
void replace_by_constant(GraphModule& gm, Node* node, at::Tensor value);

}  // namespace fxq
