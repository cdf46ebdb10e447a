// fxq export --validate: an exported file, run in ONNX Runtime beside the graph that it was made
// of.
#pragma once

#include <ATen/core/ivalue.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/export/onnx_export.h"
#include "fxq/graph/graph_module.h"

namespace fxq {

struct ValidationRequest {
  const GraphModule* model = nullptr;        // of any stage
  const GraphModule* float_model = nullptr;  // that it was quantized from, if it is there
  std::vector<c10::IValue> inputs;           // of the model
  std::string path;                          // the file
  ExportProfile profile = ExportProfile::kExact;
  QuantFormat format = QuantFormat::kQDQ;
  ExportSummary summary;
};

struct ValidationReport {
  bool was_run = false;
  std::vector<std::string> lines;     // what was run and what came out
  std::vector<std::string> warnings;  // not as close as it should be
  std::vector<std::string> failures;  // the file does not say what the graph says
};
// Float: the largest difference relative to the largest value. Integers, without optimisations:
// node by node on the same inputs, and the SQNR end to end beside that of int8 against float; with
// them: reported. Without a Python that has ONNX Runtime a line says so. An error if the graph
// itself does not run.
absl::StatusOr<ValidationReport> validate_onnx(const ValidationRequest& request);

// The same inputs with other sizes along the axes that the file leaves open; none if it leaves none
// open, or if the graph runs with no sizes that were tried.
std::vector<c10::IValue> with_other_sizes(const ValidationRequest& request);

// Inputs of the types that the file takes; of symbolic sizes, some that the model runs with.
absl::StatusOr<std::vector<c10::IValue>> inputs_for(const GraphModule& model,
                                                    const ExportSummary& summary);

}  // namespace fxq
