// What profile kOrt adds to a quantized graph: Q/DQ on a convolution or linear whose result is
// added to another tensor, so that ONNX Runtime can run it in integers too.
#pragma once

#include <optional>

#include "fxq/export/onnx_export.h"
#include "fxq/graph/node.h"

namespace fxq {

// The type of the summand, or none: another profile, no fused add, not 8 bits, or a linear of more
// than two axes, which ONNX Runtime leaves in float anyway. It covers every sum that the node's own
// type can tell from its neighbours, so it clips nothing.
std::optional<Type> summand_type(const Node& node, const ExportOptions& options);

}  // namespace fxq
