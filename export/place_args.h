// The `args` of export_to_onnx, one per placeholder.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"

namespace fxq {

// A dict at the end names the inputs that the values before it leave; one that it does not name is
// None. No args stay none. InvalidArgument lists every name that is unknown or given twice, and
// every input that wants a tensor and has none.
absl::StatusOr<std::vector<c10::IValue>> place_args(const GraphModule& model,
                                                    const std::vector<c10::IValue>& args);

}  // namespace fxq
