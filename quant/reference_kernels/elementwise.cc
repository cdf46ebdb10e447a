// add:  p = fmaf(mb, (float)qb, (float)qa * ma)     ma = (float)(s_a / s_out), mb likewise
// sub:  the same with -mb        mul:  p = ((float)qa * (float)qb) * (float)(s_a * s_b / s_out)
// then relu or relu6 of p, and sat(rint(p)).
// cat:  every input in the output's scale.
#include <ATen/ops/cat.h>
#include <fmt/format.h>

#include "fxq/quant/reference_kernels/arithmetic.h"

namespace fxq {
namespace {

absl::StatusOr<c10::IValue> add(const ReferenceCall& call, float sign) {
  const double out = call.output_scale();
  const at::Tensor left = call.operand(0).to(at::kFloat) * static_cast<float>(call.scale(0) / out);
  const at::Tensor p =
      fma(sign * static_cast<float>(call.scale(1) / out), call.operand(1).to(at::kFloat), left);
  return saturate(clamp_activation(p, call), call.output_dtype());
}

std::string binary_limits(const OpView& view) {
  if (view.operands().size() != 2) return "its integer kernel wants two tensors";
  return only_activation(view);
}

std::string alpha_limits(const OpView& view) {
  const Argument alpha = view.attr("alpha");
  if (!alpha.is_constant() || view.attr_float("alpha", 1.0) != 1.0) return "alpha is not 1";
  return binary_limits(view);
}

}  // namespace

absl::StatusOr<c10::IValue> reference_Add(const ReferenceCall& call) { return add(call, 1.0F); }

absl::StatusOr<c10::IValue> reference_Sub(const ReferenceCall& call) { return add(call, -1.0F); }

absl::StatusOr<c10::IValue> reference_Mul(const ReferenceCall& call) {
  const double m = call.scale(0) * call.scale(1) / call.output_scale();
  const at::Tensor p =
      (call.operand(0).to(at::kFloat) * call.operand(1).to(at::kFloat)) * static_cast<float>(m);
  return saturate(clamp_activation(p, call), call.output_dtype());
}

absl::StatusOr<c10::IValue> reference_Cat(const ReferenceCall& call) {
  const DType dtype = call.output_dtype();
  std::vector<at::Tensor> parts;
  for (size_t i = 0; i < call.view.operands().size(); ++i) {
    const Type& type = call.view.operand(i)->type;
    const bool same = type.dtype == dtype && type.qparams == call.node.type.qparams;
    parts.push_back(same ? call.operand(i)
                         : requantize(call.operand(i), call.scale(i), call.output_scale(), dtype));
  }
  return at::cat(parts, call.view.attr_int("dim", 0));
}

std::string limits_Add(const OpView& view) { return alpha_limits(view); }
std::string limits_Sub(const OpView& view) { return alpha_limits(view); }
std::string limits_Mul(const OpView& view) { return binary_limits(view); }

std::string limits_Cat(const OpView& view) {
  if (!view.attr("dim").is_constant()) return "its dim is computed while running";
  return no_epilogue(view);
}

}  // namespace fxq
