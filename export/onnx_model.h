// The whole ONNX model in memory, for callers that want the protobuf rather than a file. Such a
// caller includes <onnx/onnx_pb.h> and links onnx.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/export/onnx_export.h"

namespace onnx {
class ModelProto;
}

namespace fxq {

// A float or a quantized graph; what export_to_onnx writes. Fills `summary` but for file_bytes.
absl::StatusOr<std::unique_ptr<onnx::ModelProto>> build_onnx_model(
    const GraphModule& model, const std::vector<c10::IValue>& args, const ExportOptions& options,
    ExportSummary& summary);

// Fills the shapes that onnx's inference finds; with `strict` its complaints are errors. Then, if
// strict, runs onnx's checker. InvalidArgument carries onnx's own words.
struct OnnxCheck {
  bool strict = true;
};
absl::Status check_onnx_model(onnx::ModelProto& model, const OnnxCheck& check = {});

}  // namespace fxq
