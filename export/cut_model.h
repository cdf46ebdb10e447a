// An ONNX model in pieces of one node each: every "<node>_q" becomes an output, and whoever read it
// reads an input "<node>_ref" instead. Fed with the graph's own integers, one run compares all
// nodes, each on the same inputs.
#pragma once

#include <ATen/core/TensorBody.h>

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"

namespace onnx {
class ModelProto;
}

namespace fxq {

// The integers of a quantized graph's values, or of a prepared one's fake quants in its VALIDATION
// state, by node, as the file holds them: qint8 as uint8 around 128.
absl::StatusOr<std::map<std::string, at::Tensor>> file_integers(
    const GraphModule& model, const std::vector<c10::IValue>& inputs);

struct CutModel {
  std::map<std::string, at::Tensor> inputs;  // "<node>_ref", beside the model's own
  std::vector<std::string> nodes;            // those that the file has; outputs are "<node>_q"
};
// Changes `model`.
CutModel cut_at_integers(onnx::ModelProto& model,
                         const std::map<std::string, at::Tensor>& integers);

}  // namespace fxq
