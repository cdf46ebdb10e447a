// quantize: sat(rint(x * (1 / scale)))   dequantize: (float)q * scale
// requantize: sat(rint((float)q * (float)(s_in / s_out)))
#include "fxq/quant/reference_kernels/arithmetic.h"

namespace fxq {

absl::StatusOr<c10::IValue> reference_Quantize(const ReferenceCall& call) {
  return quantize(call.operand(), static_cast<float>(call.output_scale()), call.output_dtype());
}

absl::StatusOr<c10::IValue> reference_Dequantize(const ReferenceCall& call) {
  return dequantize(call.operand(), static_cast<float>(call.scale()));
}

absl::StatusOr<c10::IValue> reference_Requantize(const ReferenceCall& call) {
  return requantize(call.operand(), call.scale(), call.output_scale(), call.output_dtype());
}

std::string limits_Quantize(const OpView& view) { return no_epilogue(view); }
std::string limits_Dequantize(const OpView& view) { return no_epilogue(view); }
std::string limits_Requantize(const OpView& view) { return no_epilogue(view); }

}  // namespace fxq
