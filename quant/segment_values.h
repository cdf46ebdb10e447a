// What a segment computes itself and what it is handed. Numbers that are made of sizes, constants
// and the quantize and dequantize nodes between its own ops come along with its ops; whatever they
// read from elsewhere is handed over, be it only for its size.
#pragma once

#include <set>
#include <vector>

#include "fxq/graph/graph_module.h"

namespace fxq {

struct InProgramOrder {
  bool operator()(const Node* a, const Node* b) const { return a->is_before(b); }
};
using NodesInOrder = std::set<const Node*, InProgramOrder>;

struct SegmentValues {
  NodesInOrder body;    // the ops and what comes along
  NodesInOrder inputs;  // values of others; several may be one value, as floats and as integers
};
SegmentValues segment_values(const std::vector<const Node*>& ops);

// Quantize and dequantize: between segments, no op of one.
bool is_boundary(const Node& node);
// The value that boundaries only turn into integers or floats.
const Node* float_value(const Node* node);

}  // namespace fxq
