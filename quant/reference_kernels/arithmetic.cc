// quantize: q = clamp(round_half_even(x * (1 / scale)));  dequantize: x = q * scale.
#include "fxq/quant/reference_kernels/arithmetic.h"

#include <ATen/ops/broadcast_tensors.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/nan_to_num.h>
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "fxq/graph/tensor_convert.h"
#include "fxq/quant/qdtype.h"

namespace fxq {

at::Tensor saturate(const at::Tensor& p, DType dtype) {
  if (dtype == DType::kF32) return p;
  const QRange range = range_of(dtype);
  const double infinity = std::numeric_limits<double>::infinity();
  const at::Tensor clean = at::nan_to_num(p, 0.0, infinity, -infinity);
  return clean.round()
      .clamp(range.min, range.max)
      .to(static_cast<at::ScalarType>(scalar_type_number(dtype)));
}

at::Tensor quantize(const at::Tensor& x, float scale, DType dtype) {
  const float inverse = 1.0F / scale;
  return saturate(x.to(at::kFloat) * inverse, dtype);
}

at::Tensor dequantize(const at::Tensor& q, float scale) { return q.to(at::kFloat) * scale; }

at::Tensor requantize(const at::Tensor& q, double from, double to, DType dtype) {
  return saturate(q.to(at::kFloat) * static_cast<float>(from / to), dtype);
}

at::Tensor fma(const at::Tensor& a, const at::Tensor& b, const at::Tensor& c) {
  const auto inputs = at::broadcast_tensors({a, b, c});
  const at::Tensor x = inputs[0].contiguous();
  const at::Tensor y = inputs[1].contiguous();
  const at::Tensor z = inputs[2].contiguous();
  const at::Tensor result = at::empty_like(z);
  const float* px = x.data_ptr<float>();
  const float* py = y.data_ptr<float>();
  const float* pz = z.data_ptr<float>();
  float* out = result.data_ptr<float>();
  for (int64_t i = 0; i < z.numel(); ++i) out[i] = std::fma(px[i], py[i], pz[i]);
  return result;
}

at::Tensor fma(float a, const at::Tensor& b, const at::Tensor& c) {
  return fma(at::full({1}, a, b.options()), b, c);
}

at::Tensor clamp_activation(const at::Tensor& p, const ReferenceCall& call) {
  const OpId activation = call.node.epilogue_activation();
  if (activation == OpId::kNone) return p;
  const at::Tensor positive = p.clamp_min(0);
  if (activation != OpId::kRelu6) return positive;
  return positive.clamp_max(static_cast<float>(6.0 / call.output_scale()));
}

int64_t quant_max(DType dtype) { return range_of(dtype).max; }

std::string no_epilogue(const OpView& view) {
  const Node* node = view.node();
  const bool plain = !node->epilogue_add() && node->epilogue_activation() == OpId::kNone;
  return plain ? "" : "its integer kernel takes no fused add or activation";
}

std::string constant_attributes(const OpView& view) {
  for (const std::string& name : view.attr_names()) {
    if (!view.attr(name).is_constant()) return "its " + name + " is computed while running";
  }
  return no_epilogue(view);
}

std::string only_activation(const OpView& view) {
  const Node* node = view.node();
  if (node->epilogue_add()) return "its integer kernel takes no fused add";
  const OpId activation = node->epilogue_activation();
  const bool known =
      activation == OpId::kNone || activation == OpId::kRelu || activation == OpId::kRelu6;
  return known ? "" : "its integer kernel fuses relu and relu6 only";
}

std::string wants_rank(const OpView& view, int rank) {
  const Node* x = view.operand(0);
  if (!x || x->type.rank() < 0 || x->type.rank() == rank) return "";
  return fmt::format("its input has rank {}; the integer kernel wants a batch: rank {}",
                     x->type.rank(), rank);
}

}  // namespace fxq
