// One operand, element by element: ONNX's own operator, or a few that compute the formula.
//   silu = x * sigmoid(x)      gelu = x/2 * (1 + erf(x/sqrt(2)))      mish = x * tanh(softplus(x))
#include <ATen/core/Tensor.h>

#include <limits>

#include "fxq/base/status.h"
#include "fxq/export/exporter.h"
#include "fxq/export/lowering/lowering.h"
#include "fxq/export/opset_forms.h"

namespace fxq {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

absl::Status unary(Exporter& exporter, const OpView& view, const char* op_type,
                   OnnxAttributes attributes = {}) {
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  return exporter.finish(view, exporter.builder().add(op_type, {x}, std::move(attributes)));
}

OnnxAttribute real(const OpView& view, const char* name, double fallback) {
  return static_cast<float>(view.attr_float(name, fallback));
}

// x * f(x)
absl::Status gated(Exporter& exporter, const OpView& view, const std::string& x,
                   const std::string& gate) {
  return exporter.finish(view, exporter.builder().add("Mul", {x, gate}));
}

std::string add_constant(OnnxBuilder& builder, const std::string& x, double value) {
  const std::string constant = builder.scalar(DType::kF32, value);
  return builder.add("Add", {x, constant});
}

// A bound of clamp: none is no bound.
absl::StatusOr<double> bound(const OpView& view, const char* name, double fallback) {
  const Argument value = view.attr(name);
  if (!value.is_constant()) {
    return absl::UnimplementedError(std::string("its ") + name + " is computed while running");
  }
  return view.attr_float(name, fallback);
}

}  // namespace

#define FXQ_UNARY(form)                                              \
  absl::Status onnx_##form(Exporter& exporter, const OpView& view) { \
    return unary(exporter, view, #form);                             \
  }
FXQ_UNARY(Relu)
FXQ_UNARY(Sigmoid)
FXQ_UNARY(Tanh)
FXQ_UNARY(Selu)
FXQ_UNARY(Exp)
FXQ_UNARY(Log)
FXQ_UNARY(Sqrt)
FXQ_UNARY(Reciprocal)
FXQ_UNARY(Abs)
FXQ_UNARY(Neg)
FXQ_UNARY(Erf)
FXQ_UNARY(Sin)
FXQ_UNARY(Cos)
FXQ_UNARY(Atan)
FXQ_UNARY(Floor)
FXQ_UNARY(Ceil)
FXQ_UNARY(Sign)
#undef FXQ_UNARY

absl::Status onnx_Relu6(Exporter& exporter, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  return exporter.finish(view, exporter.relu6(view.node()->type, x));
}

// hardtanh(min_val, max_val), clamp(min, max), clamp_min(min), clamp_max(max)
absl::Status onnx_Clip(Exporter& exporter, const OpView& view) {
  const bool named = view.op() == OpId::kHardtanh;
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  FXQ_ASSIGN_OR_RETURN(const double low,
                       bound(view, named ? "min_val" : "min", named ? -1.0 : -kInfinity));
  FXQ_ASSIGN_OR_RETURN(const double high,
                       bound(view, named ? "max_val" : "max", named ? 1.0 : kInfinity));
  const DType dtype = element_type(view.operand(0)->type);
  return exporter.finish(view, add_clip(exporter.builder(), x, dtype, low, high));
}

absl::Status onnx_HardSigmoid(Exporter& exporter, const OpView& view) {
  return unary(exporter, view, "HardSigmoid", {{"alpha", 1.0F / 6.0F}, {"beta", 0.5F}});
}

absl::Status onnx_Hardswish(Exporter& exporter, const OpView& view) {
  if (exporter.opset() >= 14) return unary(exporter, view, "HardSwish");
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  const std::string gate =
      exporter.builder().add("HardSigmoid", {x}, {{"alpha", 1.0F / 6.0F}, {"beta", 0.5F}});
  return gated(exporter, view, x, gate);
}

absl::Status onnx_LeakyRelu(Exporter& exporter, const OpView& view) {
  return unary(exporter, view, "LeakyRelu", {{"alpha", real(view, "negative_slope", 0.01)}});
}

absl::Status onnx_Elu(Exporter& exporter, const OpView& view) {
  if (view.attr_float("input_scale", 1.0) != 1.0) {
    return absl::UnimplementedError("elu with an input_scale");
  }
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  const std::string y = exporter.builder().add("Elu", {x}, {{"alpha", real(view, "alpha", 1.0)}});
  return exporter.finish(view, add_scaled(exporter.builder(), y, view.attr_float("scale", 1.0)));
}

// max(x, 0) + min(alpha * (exp(x / alpha) - 1), 0) = Elu with input and output scaled.
absl::Status onnx_Celu(Exporter& exporter, const OpView& view) {
  if (exporter.opset() >= 12) {
    return unary(exporter, view, "Celu", {{"alpha", real(view, "alpha", 1.0)}});
  }
  const double alpha = view.attr_float("alpha", 1.0);
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  const std::string scaled = add_scaled(exporter.builder(), x, 1.0 / alpha);
  const std::string y = exporter.builder().add("Elu", {scaled});
  return exporter.finish(view, add_scaled(exporter.builder(), y, alpha));
}

absl::Status onnx_Silu(Exporter& exporter, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  return gated(exporter, view, x, exporter.builder().add("Sigmoid", {x}));
}

absl::Status onnx_Mish(Exporter& exporter, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  const std::string soft = exporter.builder().add("Softplus", {x});
  return gated(exporter, view, x, exporter.builder().add("Tanh", {soft}));
}

absl::Status onnx_Gelu(Exporter& exporter, const OpView& view) {
  OnnxBuilder& builder = exporter.builder();
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  std::string bell;
  if (view.attr_string("approximate", "none") == "tanh") {
    const std::string square = builder.add("Mul", {x, x});
    const std::string cube = builder.add("Mul", {square, x});
    const std::string small = add_scaled(builder, cube, 0.044715);
    const std::string sum = builder.add("Add", {x, small});
    bell = builder.add("Tanh", {add_scaled(builder, sum, 0.7978845608028654)});
  } else {
    bell = builder.add("Erf", {add_scaled(builder, x, 0.7071067811865476)});
  }
  const std::string half = add_scaled(builder, x, 0.5);
  return gated(exporter, view, half, add_constant(builder, bell, 1.0));
}

// log(1 + exp(beta * x)) / beta; x where beta * x > threshold.
absl::Status onnx_Softplus(Exporter& exporter, const OpView& view) {
  OnnxBuilder& builder = exporter.builder();
  const double beta = view.attr_float("beta", 1.0);
  const double threshold = view.attr_float("threshold", 20.0);
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  const std::string scaled = add_scaled(builder, x, beta);
  std::string y = builder.add("Softplus", {scaled});
  y = add_scaled(builder, y, 1.0 / beta);
  // From 20 on, log(1 + exp(x)) is x in float32.
  if (threshold >= 20.0) return exporter.finish(view, std::move(y));
  const std::string limit = builder.scalar(DType::kF32, threshold);
  const std::string is_above = builder.add("Greater", {scaled, limit});
  return exporter.finish(view, builder.add("Where", {is_above, x, y}));
}

absl::Status onnx_LogSigmoid(Exporter& exporter, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  const std::string negative = exporter.builder().add("Neg", {x});
  const std::string soft = exporter.builder().add("Softplus", {negative});
  return exporter.finish(view, exporter.builder().add("Neg", {soft}));
}

absl::Status onnx_Rsqrt(Exporter& exporter, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  const std::string root = exporter.builder().add("Sqrt", {x});
  return exporter.finish(view, exporter.builder().add("Reciprocal", {root}));
}

absl::Status onnx_Square(Exporter& exporter, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  return exporter.finish(view, exporter.builder().add("Mul", {x, x}));
}

absl::Status onnx_Pow(Exporter& exporter, const OpView& view) {
  const Argument exponent = view.attr("exponent");
  if (!exponent.is_constant()) {
    return absl::UnimplementedError("its exponent is computed while running");
  }
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  const DType dtype = element_type(view.operand(0)->type);
  const std::string power = exporter.builder().scalar(dtype, view.attr_float("exponent", 1.0));
  return exporter.finish(view, exporter.builder().add("Pow", {x, power}));
}

// The slope is [1] or [C, 1, ...], to broadcast along axis 1.
absl::Status onnx_PRelu(Exporter& exporter, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  FXQ_ASSIGN_OR_RETURN(std::string slope, exporter.param(view, "weight"));
  const at::Tensor weight = view.param("weight");
  const int rank = view.operand(0)->type.rank();
  if (!weight.defined() || weight.numel() > 1) {
    if (rank < 2) return absl::UnimplementedError("the rank of its input is not known");
    std::vector<int64_t> shape(static_cast<size_t>(rank) - 1, 1);
    shape[0] = weight.defined() ? weight.numel() : -1;
    const bool fold = weight.defined() && exporter.options().do_constant_folding;
    if (fold) {
      FXQ_ASSIGN_OR_RETURN(slope, exporter.derived(view.node()->target() + ".slope",
                                                   weight.detach().reshape(shape)));
    } else {
      slope = add_reshape(exporter.builder(), slope, shape);
    }
  }
  return exporter.finish(view, exporter.builder().add("PRelu", {x, slope}));
}

absl::Status onnx_Glu(Exporter& exporter, const OpView& view) {
  OnnxBuilder& builder = exporter.builder();
  const int64_t axis = view.attr_int("dim", -1);
  const Type& type = view.operand(0)->type;
  if (type.rank() <= 0) return absl::UnimplementedError("the rank of its input is not known");
  const Dim& dim = (*type.dims)[static_cast<size_t>(axis < 0 ? axis + type.rank() : axis)];
  if (!dim.is_known()) return absl::UnimplementedError("the size of the axis it halves is unknown");
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  const std::vector<std::string> halves = add_split(builder, x, {dim.size / 2, dim.size / 2}, axis);
  const std::string gate = builder.add("Sigmoid", {halves[1]});
  return exporter.finish(view, builder.add("Mul", {halves[0], gate}));
}

}  // namespace fxq
