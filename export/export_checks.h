// What can be said about options and model before anything is written.
#pragma once

#include "absl/status/status.h"
#include "fxq/export/onnx_export.h"
#include "fxq/export/onnx_graph.h"

namespace fxq {

// InvalidArgument lists everything that is wrong with the options for this model.
absl::Status check_export_options(const GraphModule& model, const ExportOptions& options);

// The same of what the graph gives: output_names, example_outputs.
absl::Status check_outputs(const std::vector<OnnxOutput>& outputs, const ExportOptions& options);

// dynamic_axes with a symbol for every axis of an input; axes of outputs without one are dropped,
// since they follow.
ExportOptions with_axis_symbols(const GraphModule& model, const ExportOptions& options);

}  // namespace fxq
