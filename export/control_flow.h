// Blocks as ONNX: straight code in place, an If with a subgraph per branch, a Loop. What a body
// captures is a value of the graph outside, by its name there.
#pragma once

#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/export/onnx_value.h"
#include "fxq/graph/block_module.h"

namespace fxq {

class Exporter;

// Writes the nodes of a body, whose placeholders stand for `inputs`; returns what it returns.
using WriteBody = std::function<absl::StatusOr<OnnxValue>(const GraphModule& body,
                                                          const std::vector<OnnxValue>& inputs)>;

// All bodies are written before anything is refused. Unimplemented: a result that ONNX's branches
// cannot give, or a branch whose types are not known.
absl::Status write_block(Exporter& exporter, const Node& call, const BlockModule& block,
                         const WriteBody& write_body);

}  // namespace fxq
