// What fxq has to know about an operator: LibTorch's schema and float code, one row of facts, the
// formula on integers, the step of a program, the ONNX form.
#include "absdiff.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/sub.h>
#include <torch/library.h>

#include "fxq/base/status.h"
#include "fxq/export/exporter.h"
#include "fxq/export/lowering/lowering.h"
#include "fxq/quant/reference_kernels/arithmetic.h"
#include "fxq/runtime/kernel_table.h"
#include "fxq/runtime/lower/family.h"
#include "fxq/runtime/lower/lowering.h"

namespace {

using fxq::Exporter;
using fxq::Lowering;
using fxq::OpView;

// -- float, as for any operator of LibTorch
at::Tensor absdiff(const at::Tensor& a, const at::Tensor& b) { return at::abs(at::sub(a, b)); }

TORCH_LIBRARY(demo, library) { library.def("absdiff(Tensor a, Tensor b) -> Tensor", &absdiff); }

// -- integers: y = sat(rint(|a * (s_a / s_y) - b * (s_b / s_y)|)), each step rounded to float32
absl::StatusOr<c10::IValue> reference(const fxq::ReferenceCall& call) {
  const double out = call.output_scale();
  const at::Tensor left = call.operand(0).to(at::kFloat) * static_cast<float>(call.scale(0) / out);
  const float factor = -static_cast<float>(call.scale(1) / out);
  const at::Tensor p = at::abs(fxq::fma(factor, call.operand(1).to(at::kFloat), left));
  return fxq::saturate(p, call.output_dtype());
}

std::string limits(const OpView& view) {
  if (view.operands().size() != 2) return "its integer kernel wants two tensors";
  if (!fxq::same_shape(view.operand(0)->type, view.operand(1)->type)) {
    return "its integer kernel does not broadcast";
  }
  return fxq::no_epilogue(view);
}

// -- a step of a program: kernel "demo.AbsDiff" on both values
absl::Status lower(Lowering& lowering, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const fxq::ValueId a, lowering.value(view.operand(0)));
  FXQ_ASSIGN_OR_RETURN(const fxq::ValueId b, lowering.value(view.operand(1)));
  fxq::Step& step = lowering.node_step("demo.AbsDiff", *view.node(), {a, b});
  step.attrs["ratio_a"] = fxq::scale_ratio(view.operand(0)->type, view.node()->type);
  step.attrs["ratio_b"] = fxq::scale_ratio(view.operand(1)->type, view.node()->type);
  step.attrs["dtype"] = fxq::dtype_text(view.node()->type);
  return absl::OkStatus();
}

// -- ONNX: Abs(Sub(a, b)); finish() adds QuantizeLinear where the value is integers
absl::Status onnx_form(Exporter& exporter, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const std::string a, exporter.operand(view, 0));
  FXQ_ASSIGN_OR_RETURN(const std::string b, exporter.operand(view, 1));
  const std::string difference = exporter.builder().add("Sub", {a, b});
  return exporter.finish(view, exporter.builder().add("Abs", {difference}));
}

}  // namespace

absl::Status register_absdiff() {
  FXQ_RETURN_IF_ERROR(fxq::register_reference_kernel("AbsDiff", reference, limits));
  FXQ_RETURN_IF_ERROR(fxq::register_lowering("AbsDiff", lower));
  FXQ_RETURN_IF_ERROR(fxq::register_kernel("demo.AbsDiff", 1, absdiff_kernel()));
  FXQ_RETURN_IF_ERROR(fxq::register_onnx_form("AbsDiff", onnx_form));
  fxq::OpDef row;
  row.name = "absdiff";
  row.overloads = {"demo::absdiff"};
  row.commutes = true;
  row.non_negative = true;          // so that March::CPU stores it in quint8
  row.rule = fxq::Rule::kObserved;  // its output has a scale of its own
  row.kernel = "AbsDiff";
  row.onnx = "AbsDiff";
  return fxq::register_op(row).status();
}
