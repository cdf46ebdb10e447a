// Ops that ONNX lacks, written as they are: domain "aten", the op's name, constants as attributes;
// or as org.pytorch.aten's ATen node. A runtime needs a custom operator for them.
#pragma once

#include "absl/status/status.h"
#include "fxq/graph/view.h"

namespace fxq {

class Exporter;

// Unimplemented for what is no operator (TorchScript code) or changes its arguments.
absl::Status fall_through(Exporter& exporter, const OpView& view);

}  // namespace fxq
