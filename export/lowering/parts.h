// Calls that give several tensors.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "fxq/graph/view.h"

namespace fxq {

class Exporter;

// As Exporter::finish, for a list or tuple of tensors: part i is named as the getitem that takes
// it. "" is a part that has no ONNX form: Unimplemented if somebody takes it.
absl::Status finish_parts(Exporter& exporter, const OpView& view, std::vector<std::string> parts);

}  // namespace fxq
