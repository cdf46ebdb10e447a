// What can be said about options and model before anything is written.
#pragma once

#include "absl/status/status.h"
#include "fxq/export/onnx_export.h"

namespace fxq {

inline constexpr int kOldestOpset = 11;
inline constexpr int kNewestOpset = 17;

// InvalidArgument lists everything that is wrong with the options for this model.
absl::Status check_export_options(const GraphModule& model, const ExportOptions& options);

}  // namespace fxq
