// The float32 arithmetic that all reference kernels share: one rounding per operation, half to
// even.
#pragma once

#include <ATen/core/TensorBody.h>

#include <string>

#include "fxq/graph/view.h"
#include "fxq/quant/reference_kernels/reference_kernel.h"

namespace fxq {

// sat(rint(p)) as integers of dtype; NaN gives 0. kF32: p itself.
at::Tensor saturate(const at::Tensor& p, DType dtype);
// sat(rint(x * (1 / scale)))
at::Tensor quantize(const at::Tensor& x, float scale, DType dtype);
// (float)q * scale
at::Tensor dequantize(const at::Tensor& q, float scale);
// q of one scale as integers of another: sat(rint((float)q * (float)(from / to)))
at::Tensor requantize(const at::Tensor& q, double from, double to, DType dtype);
// std::fmaf(a, b, c) per element; float32 tensors that broadcast.
at::Tensor fma(const at::Tensor& a, const at::Tensor& b, const at::Tensor& c);
at::Tensor fma(float a, const at::Tensor& b, const at::Tensor& c);
// relu: max(p, 0); relu6: min(max(p, 0), (float)(6 / output_scale)); none: p.
at::Tensor clamp_activation(const at::Tensor& p, const ReferenceCall& call);
int64_t quant_max(DType dtype);

// -- limits
// "" if the call has no epilogue.
std::string no_epilogue(const OpView& view);
// "" if every attribute is a constant and the call has no epilogue.
std::string constant_attributes(const OpView& view);
// "" if the epilogue is at most a relu or relu6.
std::string only_activation(const OpView& view);
// "" if the input's rank is unknown or `rank`: a batch.
std::string wants_rank(const OpView& view, int rank);

}  // namespace fxq
