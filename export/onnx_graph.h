// The walk over a graph: every node becomes ONNX nodes, through its cell of the op table or, where
// it has none, as it is. All problems are collected before anything is refused.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/export/onnx_builder.h"
#include "fxq/export/onnx_export.h"
#include "fxq/export/onnx_value.h"

namespace fxq {

struct OnnxOutput {
  std::string value;  // as named in the model
  std::string name;   // as the user shall see it
  Type type;
};

struct OnnxGraph {
  std::vector<OnnxOutput> outputs;
  std::set<std::string> parameters;      // initializers that are the model's tensors
  std::vector<std::string> fallthrough;  // "%y (aten::special_i0e): X001 no ONNX operator"
  std::vector<std::string> warnings;
};

// `model` has types (typed_copy). Writes inputs, nodes and initializers into the builder.
absl::StatusOr<OnnxGraph> write_onnx_graph(const GraphModule& model, const ExportOptions& options,
                                           OnnxBuilder& builder);

}  // namespace fxq
