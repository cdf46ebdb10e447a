// Constants that integer kernels need and that only the float op can give: lookup tables and
// per-channel factors. The reference kernels and the lowering to programs call the same functions,
// so both have the same bytes. Input and output types are those of the (converted) nodes.
#pragma once

#include <utility>

#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"

namespace fxq {

// entry[q - table_start] = quantize(f(q * s_in)) for every q of operand 0's dtype, in its order
// -128..127, 0..255 or -32768..32767; f is the node's float op. [256] or [65536], of the output's
// dtype.
absl::StatusOr<at::Tensor> make_table(const GraphModule& gm, const Node& node);
// The same for prelu, one row per weight: [1 or C, 256].
absl::StatusOr<at::Tensor> make_prelu_tables(const GraphModule& gm, const Node& node);
int64_t table_start(const Type& operand);

// batch_norm in eval mode as p = fmaf((float)q, a, b), in units of the output's step; f32[C] each:
//   a = gamma / sqrt(var + eps) * s_in / s_out
//   b = (beta - mean * gamma / sqrt(var + eps)) / s_out, computed in double
std::pair<at::Tensor, at::Tensor> make_batch_norm_affine(const GraphModule& gm, const Node& node);

}  // namespace fxq
