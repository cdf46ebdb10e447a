// lower: a QuantizedGraph (or any float graph) becomes a Program: integer ops become steps on the
// runtime's kernels, float ops steps of the KernelProvider ("aten"). The one part of the project
// that sees both LibTorch and the runtime. The graph is only read; the program borrows its tensors.
#pragma once

#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"
#include "fxq/runtime/program.h"

namespace fxq {

// Unimplemented lists every node that has no step, with the reason. Values keep their nodes' names.
// A float node of unknown dtype counts as f32: propagate_shapes (tracer/shape_prop.h) first.
absl::StatusOr<Program> lower(const GraphModule& gm);

}  // namespace fxq
