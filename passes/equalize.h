// Cross-layer equalization (arXiv 1906.04721): weights of two layers with nothing but relus
// (leaky_relu, prelu) and pools between them are rescaled channel by channel, so that per-tensor
// scales fit both. The function of the graph stays the same. Off by default: a pass by name, and
// `fxq quantize --equalize`.
#pragma once

#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"

namespace fxq {

// True if it changed any weight. For pairs of modules that are called once each: no add, no batch
// norm that trains, no other activation in between; transposed convolutions and linears of
// flattened channels stay. New tensors; none is written.
absl::StatusOr<bool> equalize(GraphModule& gm);

}  // namespace fxq
