// A copy of a model whose nodes have the types that the export needs: ranks, dtypes, sizes. Sizes
// that change with a dynamic axis are unknown or carry its symbol; all others are exact.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/export/onnx_export.h"

namespace fxq {

// Names of the placeholders in the ONNX model: options.input_names, else the placeholders' own.
std::vector<std::string> onnx_input_names(const GraphModule& model, const ExportOptions& options);

// Runs the model on `args` (or on zeros of the placeholders' types), and once more with other sizes
// if there are dynamic axes. InvalidArgument: args that do not fit, axes that do not exist, sizes
// that the model cannot run with. The copy's notes are the asserts that hold for some sizes only.
absl::StatusOr<GraphModule> typed_copy(const GraphModule& model,
                                       const std::vector<c10::IValue>& args,
                                       const ExportOptions& options);

}  // namespace fxq
