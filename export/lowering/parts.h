// Calls that give several tensors.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "fxq/export/onnx_value.h"
#include "fxq/graph/view.h"

namespace fxq {

class Exporter;

// As Exporter::finish, for a list or tuple of tensors: part i is named as the getitem that takes
// it. "" is a part that has no ONNX form: Unimplemented if somebody takes it.
absl::Status finish_parts(Exporter& exporter, const OpView& view, std::vector<std::string> parts);

// The same for values of any kind, of a call that is no operator.
void finish_values(Exporter& exporter, const Node& call, std::vector<OnnxValue> values);

}  // namespace fxq
