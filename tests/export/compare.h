// The comparisons that the tests make between ONNX Runtime and fxq.
#pragma once

#include <string>
#include <vector>

#include "fxq/export/onnx_export.h"
#include "models.h"
#include "ort.h"

namespace fxq::export_test {

// Exports (with onnx's checker on), runs both, and expects the outputs to agree to a relative
// difference of `tolerance`. `tag` says which case failed.
struct FloatCheck {
  ExportOptions options;
  double tolerance = 1e-4;
  std::string tag;
};
void expect_same_floats(const FloatNet& net, const FloatCheck& check);

// One node each: every "<node>_q" from the reference's integers as inputs, at most 1 step away.
void expect_nodes_within_one_step(const QuantizedGraph& model,
                                  const std::vector<c10::IValue>& input, int opset = 13);

// The same with options of one's own. Rounding differs near ties alone.
struct NodeCheck {
  ExportOptions options;
  int steps = 1;            // at most, anywhere
  double differing = 0.01;  // share of all values
};
void expect_nodes_within(const GraphModule& model, const std::vector<c10::IValue>& input,
                         const NodeCheck& check);

// What ONNX Runtime computes from the QDQ model as its users run it (default optimisations), one
// tensor per output of the model.
absl::StatusOr<std::vector<at::Tensor>> run_qdq_model(const QuantizedGraph& model,
                                                      const std::vector<c10::IValue>& input);

}  // namespace fxq::export_test
