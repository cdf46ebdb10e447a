// quantize(x) -> QuantizeLinear, DequantizeLinear     dequantize -> the floats that it reads
// already identity, dropout, contiguous, ... -> nothing: another name for the same value
#include "fxq/base/status.h"
#include "fxq/export/exporter.h"
#include "fxq/export/lowering/lowering.h"

namespace fxq {
namespace {

// finish() writes the QuantizeLinear of the node's type.
absl::Status requantized(Exporter& exporter, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(std::string x, exporter.operand(view));
  return exporter.finish(view, std::move(x));
}

absl::Status same_value(Exporter& exporter, const OpView& view) {
  if (!view.operand(0)) return absl::UnimplementedError("its operand is a constant");
  exporter.set(view.node(), OnnxValue(exporter.value(view.operand(0))));
  return absl::OkStatus();
}

}  // namespace

absl::Status onnx_QuantizeLinear(Exporter& exporter, const OpView& view) {
  return requantized(exporter, view);
}

absl::Status onnx_Requantize(Exporter& exporter, const OpView& view) {
  return requantized(exporter, view);
}

absl::Status onnx_DequantizeLinear(Exporter& exporter, const OpView& view) {
  return same_value(exporter, view);
}

absl::Status onnx_Identity(Exporter& exporter, const OpView& view) {
  const bool drops = view.op() == OpId::kDropout || view.op() == OpId::kFeatureDropout;
  if (!drops || !in_training(exporter, view)) return same_value(exporter, view);
  if (exporter.opset() < 12) {
    return absl::UnimplementedError("dropout in training mode needs opset 12");
  }
  if (view.op() == OpId::kFeatureDropout) {
    return absl::UnimplementedError("dropout of whole channels in training mode");
  }
  OnnxBuilder& builder = exporter.builder();
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  const std::string ratio = builder.scalar(DType::kF32, view.attr_float("p", 0.5));
  const std::string training = builder.scalar(DType::kBool, 1.0);
  return exporter.finish(view, builder.add("Dropout", {x, ratio, training}));
}

}  // namespace fxq
