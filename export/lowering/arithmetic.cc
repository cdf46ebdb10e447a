// Two operands: tensors, a tensor and a number, or two sizes. Operands of another dtype than the
// result are cast first, as ATen promotes them.
//   add(x, y, alpha) -> Add(x, Mul(y, alpha))     rsub(x, c, alpha) -> Sub(c, Mul(x, alpha))
//   addmm, baddbmm(x, a, b, beta, alpha) -> Add(Mul(x, beta), Mul(MatMul(a, b), alpha))
#include <fmt/format.h>

#include "fxq/base/status.h"
#include "fxq/export/exporter.h"
#include "fxq/export/lowering/lowering.h"
#include "fxq/export/lowering/q_operator.h"
#include "fxq/export/lowering/sizes.h"
#include "fxq/export/opset_forms.h"

namespace fxq {
namespace {

// Operand i in the dtype that the op computes in, where both are known.
absl::StatusOr<std::string> promoted(Exporter& exporter, const OpView& view, size_t i, DType to) {
  FXQ_ASSIGN_OR_RETURN(std::string x, exporter.operand(view, i));
  const Type& type = view.operand(i)->type;
  const bool differs = type.is_tensor() && type.dtype && element_type(type) != to;
  const bool is_size = type.kind == Type::Kind::kInt && to != DType::kI64;
  return differs || is_size ? add_cast(exporter.builder(), x, to) : x;
}

DType result_dtype(const OpView& view) {
  const Type& result = view.node()->type;
  return result.dtype ? element_type(result) : element_type(view.operand(0)->type);
}

// The call's second operand: a tensor, or the number `other`.
absl::StatusOr<std::string> second(Exporter& exporter, const OpView& view, DType dtype) {
  if (view.operand(1)) return promoted(exporter, view, 1, dtype);
  const Argument other = view.attr("other");
  if (const Node* node = other.node()) {
    FXQ_ASSIGN_OR_RETURN(const std::string size, exporter.tensor(node));
    return add_cast(exporter.builder(), size, dtype);
  }
  return exporter.builder().scalar(dtype, view.attr_float("other"));
}

absl::StatusOr<std::string> times_alpha(Exporter& exporter, const OpView& view, std::string x,
                                        DType dtype) {
  const Argument alpha = view.attr("alpha");
  if (!alpha.is_constant()) return absl::UnimplementedError("its alpha is computed while running");
  const double factor = view.attr_float("alpha", 1.0);
  if (factor == 1.0) return x;
  const std::string constant = exporter.builder().scalar(dtype, factor);
  return exporter.builder().add("Mul", {x, constant});
}

absl::Status binary(Exporter& exporter, const OpView& view, const char* op_type) {
  if (view.def().rule == Rule::kNotTensor) return int_arithmetic(exporter, view, op_type);
  if (!view.operand(0)) return absl::UnimplementedError("its first operand is no tensor");
  const DType dtype = result_dtype(view);
  FXQ_ASSIGN_OR_RETURN(const std::string x, promoted(exporter, view, 0, dtype));
  FXQ_ASSIGN_OR_RETURN(std::string y, second(exporter, view, dtype));
  FXQ_ASSIGN_OR_RETURN(y, times_alpha(exporter, view, std::move(y), dtype));
  return exporter.finish(view, exporter.builder().add(op_type, {x, y}));
}

}  // namespace

#define FXQ_BINARY(form, op_type)                                    \
  absl::Status onnx_##form(Exporter& exporter, const OpView& view) { \
    return binary(exporter, view, op_type);                          \
  }
FXQ_BINARY(Add, "Add")
FXQ_BINARY(Sub, "Sub")
FXQ_BINARY(Mul, "Mul")
FXQ_BINARY(Div, "Div")
FXQ_BINARY(Max, "Max")
FXQ_BINARY(Min, "Min")
#undef FXQ_BINARY

absl::Status onnx_MatMul(Exporter& exporter, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const bool done, write_q_matmul(exporter, view));
  return done ? absl::OkStatus() : binary(exporter, view, "MatMul");
}

// beta * self + alpha * (a @ b)
absl::Status onnx_AddMatMul(Exporter& exporter, const OpView& view) {
  const DType dtype = result_dtype(view);
  OnnxBuilder& builder = exporter.builder();
  FXQ_ASSIGN_OR_RETURN(const std::string a, exporter.operand(view, 1));
  FXQ_ASSIGN_OR_RETURN(const std::string b, exporter.operand(view, 2));
  std::string product = builder.add("MatMul", {a, b});
  FXQ_ASSIGN_OR_RETURN(product, times_alpha(exporter, view, std::move(product), dtype));
  const double beta = view.attr_float("beta", 1.0);
  if (!view.attr("beta").is_constant()) {
    return absl::UnimplementedError("its beta is computed while running");
  }
  if (beta == 0.0) return exporter.finish(view, product);
  FXQ_ASSIGN_OR_RETURN(std::string self, promoted(exporter, view, 0, dtype));
  if (beta != 1.0) self = builder.add("Mul", {self, builder.scalar(dtype, beta)});
  return exporter.finish(view, builder.add("Add", {self, product}));
}

absl::Status onnx_RSub(Exporter& exporter, const OpView& view) {
  const DType dtype = result_dtype(view);
  FXQ_ASSIGN_OR_RETURN(std::string x, promoted(exporter, view, 0, dtype));
  FXQ_ASSIGN_OR_RETURN(const std::string other, second(exporter, view, dtype));
  FXQ_ASSIGN_OR_RETURN(x, times_alpha(exporter, view, std::move(x), dtype));
  return exporter.finish(view, exporter.builder().add("Sub", {other, x}));
}

}  // namespace fxq
