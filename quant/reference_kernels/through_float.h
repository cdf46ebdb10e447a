// The integer form of an op that a BPU march has and that has no kernel family here: its own float
// code between dequantize and quantize. The runtime's programs do the same, step by step.
#pragma once

#include "fxq/quant/reference_kernels/reference_kernel.h"

namespace fxq {

// True for rows with a march cell and no KERNEL cell.
bool runs_through_float(OpId op);

// y = quantize(op(dequantize(x)...)): integers in, floats computed, integers out where the node's
// type has them; results that are no reals (indices, truth values) stay as they are.
// Of a row that CONTRACTS, exact: acc = sums of products of integers, in double;
//   p = (float)acc * (float)(s_a * s_b / s_out), rounded as a convolution's (weighted.cc)
absl::StatusOr<c10::IValue> run_through_float(const ReferenceCall& call);

// (float)(s_a * s_b / s_out), or (float)(s_a * s_b) if the result is a float.
float contraction_multiplier(const OpView& view);

}  // namespace fxq
