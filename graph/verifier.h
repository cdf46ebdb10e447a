// verify: every invariant of a GraphModule, all violations at once. Passes are verified before and
// after; an error is Internal, because only a pass can break a graph.
#pragma once

#include "absl/status/status.h"
#include "fxq/graph/graph_module.h"

namespace fxq {

// Names unique and well-formed; program order is topological; uses and users mirror each other;
// exactly one output, last; targets exist (modules, tensors, schemas); arity and argument kinds fit
// the schema; epilogues only on ops that take one, with activations of the op table; quantized
// types have integer dtypes and positive scales; index by op is exact.
absl::Status verify(const GraphModule& gm);

}  // namespace fxq
