// Effects: what stops passes from moving, merging or removing calls. Pure functions.
#pragma once

#include <vector>

#include "fxq/graph/graph_module.h"

namespace fxq {

// True if values may differ before and after it, so nothing may be moved across: it writes into a
// tensor, or nothing is known about it. Drawing random numbers alone is no barrier.
bool is_barrier(const Node& node);
// All barriers, in program order.
std::vector<const Node*> barriers(const Graph& graph);
// True if one of them stands between two nodes (or is one of them).
bool barrier_between(const std::vector<const Node*>& barriers, const Node* a, const Node* b);

// True if the call behaves as in training: batch statistics, random dropout.
bool runs_in_training_mode(const GraphModule& gm, const Node& node);

}  // namespace fxq
