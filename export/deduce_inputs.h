// Types of inputs that nobody told: from the first weighted op that reads them. What is deduced is
// only a start: typed_copy runs the model with it.
#pragma once

#include "fxq/graph/graph_module.h"

namespace fxq {

inline constexpr const char* kBatchSymbol = "N";

// Placeholders of unknown rank that a conv or linear reads, directly or through ops that keep the
// axes, get f32[N,C,H,W] with that op's channels; the spatial sizes are symbols. How many were set.
int deduce_input_types(GraphModule& gm);

}  // namespace fxq
