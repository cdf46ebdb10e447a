// QuantFormat::kQOperator: calls whose operands and weights are 8-bit integers as QLinearConv,
// QLinearMatMul, or MatMulInteger (which keeps the int32 sums, where a bias or a float result needs
// them). What has no such form goes out as Q/DQ around its float operator.
#pragma once

#include "absl/status/statusor.h"
#include "fxq/export/onnx_builder.h"
#include "fxq/graph/view.h"

namespace fxq {

class Exporter;

// True: the call went out in integers. False: nothing was written.
absl::StatusOr<bool> write_q_conv(Exporter& exporter, const OpView& view,
                                  const OnnxAttributes& attributes);
absl::StatusOr<bool> write_q_linear(Exporter& exporter, const OpView& view);
absl::StatusOr<bool> write_q_matmul(Exporter& exporter, const OpView& view);

}  // namespace fxq
