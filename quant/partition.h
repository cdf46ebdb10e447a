// Partitions of a converted graph: segments of ops that run together on one device, and what is
// copied between them. BPU segments are maximal: no two could be one without a cycle through other
// segments. Quantize and dequantize nodes are no ops of a segment: they are the boundary. Borrows
// the graph's nodes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"
#include "fxq/quant/quantized_graph.h"

namespace fxq {

struct Segment {
  std::string device;              // "BPU" or "CPU"
  std::vector<const Node*> nodes;  // in program order; getitems and sizes are not listed
};

// One value on its way into a segment, from another one or from the graph's inputs (from = -1).
struct Boundary {
  const Node* value = nullptr;  // integers, where the copy holds integers
  int from = -1;
  int to = -1;
  int64_t bytes = -1;  // per run; -1: the shape is not known
};

struct Partitions {
  std::vector<Segment> segments;     // in an order in which they can run
  std::vector<Boundary> boundaries;  // between segments only

  int count(std::string_view device) const;
  int64_t bytes() const;  // of all boundaries whose shape is known
  // "3 segments (BPU 2, CPU 1), 2 copies, 1.6 MiB", and a line for each segment and boundary.
  std::string to_string() const;
};

// Of a converted graph, or of a float graph whose nodes have devices. Without any device (a graph
// for March::CPU) all ops are one CPU segment.
Partitions partition(const GraphModule& gm);

// One segment as a model of its own: floats in, floats out; on the BPU, quantize and dequantize
// nodes at its ends, so that it gives exactly what it gives within the whole graph. Inputs and
// outputs have the names of the values, without the boundaries' suffixes: what one gives, another
// takes by its name. The output is a tuple. Tensors are shared.
struct ExtractedSegment {
  QuantizedGraph model;
  std::vector<std::string> inputs;   // names of the whole graph's values
  std::vector<std::string> outputs;  // in the order of the tuple
};
absl::StatusOr<ExtractedSegment> extract_segment(const QuantizedGraph& model,
                                                 const Partitions& partitions, int index);

}  // namespace fxq
