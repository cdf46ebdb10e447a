// The integer form of a call that a BPU march has and that no kernel family here runs: the op's own
// float code between dequantize and quantize. The runtime's programs do the same, step by step.
#pragma once

#include "fxq/quant/reference_kernels/reference_kernel.h"

namespace fxq {

// Why the call cannot run so; "" if it can: its row has a march cell and no parameters, nothing is
// fused to it, and its tensors stand in positional arguments.
std::string through_float_limits(const OpView& view);
// True if the call, being one on integers, has no kernel family, or one whose limits refuse it.
bool runs_through_float(const OpView& view);

// y = quantize(op(dequantize(x)...)): integers in, floats computed, integers out where the node's
// type has them; results that are no reals (indices, truth values) stay as they are.
// Of a row that CONTRACTS, exact: acc = sums of products of integers, in double;
//   p = (float)acc * (float)(s_a * s_b / s_out), rounded as a convolution's (weighted.cc)
absl::StatusOr<c10::IValue> run_through_float(const ReferenceCall& call);

// (float)(s_a * s_b / s_out), or (float)(s_a * s_b) if the result is a float.
float contraction_multiplier(const OpView& view);

}  // namespace fxq
