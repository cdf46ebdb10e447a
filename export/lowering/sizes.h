// Integer arithmetic on sizes, for the cells that tensors and sizes share (Add, Sub, Mul,
// FloorDiv).
#pragma once

#include "absl/status/status.h"
#include "fxq/graph/view.h"

namespace fxq {

class Exporter;

// `op_type`: "Add", "Sub", "Mul", "FloorDiv" or "Mod" (which round down, as Python's // and %).
absl::Status int_arithmetic(Exporter& exporter, const OpView& view, const std::string& op_type);

}  // namespace fxq
