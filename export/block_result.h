// What leaves a branch, or goes round in a loop: one value of the subgraph, in one form from all
// sides.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "fxq/export/onnx_value.h"
#include "fxq/graph/type.h"

namespace onnx {
class ValueInfoProto;
}

namespace fxq {

class Exporter;

struct BlockResult {
  OnnxValue::Kind form = OnnxValue::Kind::kTensor;
  Type type;  // of the tensor, or of the sequence's tensors
};

// `declared`: by the code. `seen`: in the bodies, its dtype as it is on all sides. Unimplemented if
// ONNX has no such result, or the dtype differs or is not known.
absl::StatusOr<BlockResult> block_result(const Type& declared, const Type& seen, int opset);

// The value in that form. What was never set (a variable before its first assignment) is 0.
absl::StatusOr<std::string> as_result(Exporter& exporter, const OnnxValue& value,
                                      const BlockResult& result);

void write_value_info(const BlockResult& result, const std::string& name,
                      onnx::ValueInfoProto& info);

}  // namespace fxq
