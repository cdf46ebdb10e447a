// Guards of a graph that is about to be exported.
#pragma once

#include "absl/status/status.h"
#include "fxq/graph/graph_module.h"

namespace fxq {

// `typed` is a copy of it with the types that the file will have, in which what two runs agreed on
// may be written as constants. InvalidArgument lists the guards that a dynamic axis decides; the
// others hold, since the graph ran.
absl::Status check_guards(const GraphModule& model, const GraphModule& typed);

}  // namespace fxq
