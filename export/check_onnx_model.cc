// onnx's functions throw: caught here.
#include <fmt/format.h>
#include <onnx/checker.h>
#include <onnx/onnx_pb.h>
#include <onnx/shape_inference/implementation.h>

#include "fxq/export/onnx_model.h"

namespace fxq {

absl::Status check_onnx_model(onnx::ModelProto& model, const OnnxCheck& check) {
  try {
    onnx::ShapeInferenceOptions options;
    options.check_type = check.strict;
    options.error_mode = check.strict ? 1 : 0;
    options.enable_data_propagation = true;
    onnx::shape_inference::InferShapes(model, onnx::OpSchemaRegistry::Instance(), options);
    if (check.strict) onnx::checker::check_model(model);
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(
        fmt::format("onnx rejects the exported model: {}", error.what()));
  }
  return absl::OkStatus();
}

}  // namespace fxq
