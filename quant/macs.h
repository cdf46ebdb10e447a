// How much a call multiplies: from its weight and the shapes of its values, by the op table's
// facts.
#pragma once

#include <cstdint>

#include "fxq/graph/graph_module.h"

namespace fxq {

// Multiply-accumulates of one run: of weighted ops and of those whose row CONTRACTS; 0 of others.
// Dims that are no number count as 1: with a batch symbol, those of one sample.
int64_t multiply_accumulates(const GraphModule& gm, const Node& node);
// It multiplies, and how often is not known: code that is kept whole, an LSTM.
bool has_unknown_macs(const GraphModule& gm, const Node& node);

}  // namespace fxq
