// Lists of tensors whose length only running knows: ONNX's sequences. A list that is known item by
// item becomes one where it has to.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "fxq/base/dtype.h"
#include "fxq/export/onnx_value.h"
#include "fxq/graph/view.h"

namespace fxq {

class Exporter;

// The list as a sequence; `dtype` is that of an empty one.
absl::StatusOr<std::string> sequence_of(Exporter& exporter, const OnnxValue& list, DType dtype);

// A list of ints as a 1-D tensor.
absl::StatusOr<std::string> list_of_ints(Exporter& exporter, const OnnxValue& list);

// xs[i], of a getitem.
absl::Status sequence_item(Exporter& exporter, const OpView& view, const OnnxValue& sequence);

// The only operand of a cat or stack, if it is a sequence.
const OnnxValue* joined_sequence(Exporter& exporter, const OpView& view);

}  // namespace fxq
