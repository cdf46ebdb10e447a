// gt -> Greater     ge -> GreaterOrEqual, before opset 12 Not(Less)     ne -> Not(Equal)
// where -> Where     masked_fill(x, m, v) -> Where(m, v, x)     to(x, dtype) -> Cast
#include "fxq/base/status.h"
#include "fxq/export/exporter.h"
#include "fxq/export/lowering/lowering.h"
#include "fxq/export/opset_forms.h"

namespace fxq {
namespace {

bool is_real(DType dtype) { return dtype == DType::kF32 || dtype == DType::kF64; }

// The dtype that two operands are compared in: ATen's promotion, for the dtypes of masks, indices
// and reals.
DType common_dtype(const OpView& view) {
  const DType a = element_type(view.operand(0)->type);
  if (!view.operand(1)) {
    const bool real = view.attr("other").is<double>();
    return real && !is_real(a) ? DType::kF32 : a == DType::kBool ? DType::kI64 : a;
  }
  const DType b = element_type(view.operand(1)->type);
  if (a == b) return a;
  if (a == DType::kF64 || b == DType::kF64) return DType::kF64;
  return is_real(a) || is_real(b) ? DType::kF32 : DType::kI64;
}

absl::StatusOr<std::string> operand_as(Exporter& exporter, const OpView& view, size_t i, DType to) {
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view, i));
  const Type& type = view.operand(i)->type;
  const bool differs = !type.dtype || element_type(type) != to;
  return differs ? add_cast(exporter.builder(), x, to) : x;
}

struct Pair {
  std::string a, b;
};

absl::StatusOr<Pair> compared(Exporter& exporter, const OpView& view) {
  if (!view.operand(0)) return absl::UnimplementedError("its first operand is no tensor");
  const DType dtype = common_dtype(view);
  Pair pair;
  FXQ_ASSIGN_OR_RETURN(pair.a, operand_as(exporter, view, 0, dtype));
  if (view.operand(1)) {
    FXQ_ASSIGN_OR_RETURN(pair.b, operand_as(exporter, view, 1, dtype));
    return pair;
  }
  const Argument other = view.attr("other");
  if (!other.is_constant()) {
    return absl::UnimplementedError("the number it compares with is computed while running");
  }
  pair.b = exporter.builder().scalar(dtype, view.attr_float("other"));
  return pair;
}

absl::Status compare(Exporter& exporter, const OpView& view, const char* op_type, bool negated) {
  FXQ_ASSIGN_OR_RETURN(const Pair pair, compared(exporter, view));
  std::string y = exporter.builder().add(op_type, {pair.a, pair.b});
  if (negated) y = exporter.builder().add("Not", {y});
  return exporter.finish(view, std::move(y));
}

absl::Status logic(Exporter& exporter, const OpView& view, const char* op_type, size_t operands) {
  std::vector<std::string> inputs;
  for (size_t i = 0; i < operands; ++i) {
    if (!view.operand(i)) return absl::UnimplementedError("one of its operands is no tensor");
    const bool is_bool = view.operand(i)->type.dtype == DType::kBool;
    if (!is_bool && view.node()->type.dtype != DType::kBool) {
      return absl::UnimplementedError("logic on the bits of integers");
    }
    FXQ_ASSIGN_OR_RETURN(std::string x, operand_as(exporter, view, i, DType::kBool));
    inputs.push_back(std::move(x));
  }
  return exporter.finish(view, exporter.builder().add(op_type, std::move(inputs)));
}

}  // namespace

absl::Status onnx_Greater(Exporter& exporter, const OpView& view) {
  return compare(exporter, view, "Greater", false);
}

absl::Status onnx_Less(Exporter& exporter, const OpView& view) {
  return compare(exporter, view, "Less", false);
}

absl::Status onnx_GreaterOrEqual(Exporter& exporter, const OpView& view) {
  const bool old = exporter.opset() < 12;
  return compare(exporter, view, old ? "Less" : "GreaterOrEqual", old);
}

absl::Status onnx_LessOrEqual(Exporter& exporter, const OpView& view) {
  const bool old = exporter.opset() < 12;
  return compare(exporter, view, old ? "Greater" : "LessOrEqual", old);
}

absl::Status onnx_Equal(Exporter& exporter, const OpView& view) {
  return compare(exporter, view, "Equal", false);
}

absl::Status onnx_NotEqual(Exporter& exporter, const OpView& view) {
  return compare(exporter, view, "Equal", true);
}

absl::Status onnx_Not(Exporter& exporter, const OpView& view) {
  return logic(exporter, view, "Not", 1);
}

absl::Status onnx_And(Exporter& exporter, const OpView& view) {
  return logic(exporter, view, "And", 2);
}

absl::Status onnx_Or(Exporter& exporter, const OpView& view) {
  return logic(exporter, view, "Or", 2);
}

absl::Status onnx_Where(Exporter& exporter, const OpView& view) {
  if (!view.operand(2)) return absl::UnimplementedError("one of its operands is no tensor");
  const DType dtype = element_type(view.node()->type);
  FXQ_ASSIGN_OR_RETURN(const std::string mask, operand_as(exporter, view, 0, DType::kBool));
  FXQ_ASSIGN_OR_RETURN(const std::string x, operand_as(exporter, view, 1, dtype));
  FXQ_ASSIGN_OR_RETURN(const std::string y, operand_as(exporter, view, 2, dtype));
  return exporter.finish(view, exporter.builder().add("Where", {mask, x, y}));
}

absl::Status onnx_MaskedFill(Exporter& exporter, const OpView& view) {
  if (!view.operand(1)) return absl::UnimplementedError("one of its operands is no tensor");
  const DType dtype = element_type(view.node()->type);
  FXQ_ASSIGN_OR_RETURN(const std::string x, operand_as(exporter, view, 0, dtype));
  FXQ_ASSIGN_OR_RETURN(const std::string mask, operand_as(exporter, view, 1, DType::kBool));
  std::string value;
  if (view.operand(2)) {
    FXQ_ASSIGN_OR_RETURN(value, operand_as(exporter, view, 2, dtype));
  } else if (view.attr("value").is_constant()) {
    value = exporter.builder().scalar(dtype, view.attr_float("value"));
  } else {
    return absl::UnimplementedError("its value is computed while running");
  }
  return exporter.finish(view, exporter.builder().add("Where", {mask, value, x}));
}

absl::Status onnx_Cast(Exporter& exporter, const OpView& view) {
  if (!view.node()->type.dtype) return absl::UnimplementedError("its dtype is not known");
  FXQ_ASSIGN_OR_RETURN(const std::string x,
                       operand_as(exporter, view, 0, element_type(view.node()->type)));
  return exporter.finish(view, x);
}

}  // namespace fxq
