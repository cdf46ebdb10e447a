// conv:    QLinearConv(x_q, w, y scale) -> y_q          relu: y_q ends at 0 by itself, else Clip
// linear:  without bias QLinearMatMul; else MatMulInteger -> + bias -> Cast -> * s_in s_w -> Q
// matmul:  QLinearMatMul
#include "fxq/export/lowering/q_operator.h"

#include <ATen/core/Tensor.h>

#include <cmath>

#include "fxq/base/status.h"
#include "fxq/export/exporter.h"
#include "fxq/export/integer_weights_form.h"
#include "fxq/export/opset_forms.h"
#include "fxq/export/ort_profile.h"
#include "fxq/quant/qdtype.h"

namespace fxq {
namespace {

constexpr int kIntegerClipOpset = 12;

bool is_byte(const Type& type) {
  return type.qparams && (type.dtype == DType::kI8 || type.dtype == DType::kU8);
}

// The bytes that operand i has in the file; null if it is no such tensor.
const OnnxIntegers* bytes_of(Exporter& exporter, const OpView& view, size_t i) {
  if (exporter.options().quant_format != QuantFormat::kQOperator || !view.operand(i)) {
    return nullptr;
  }
  const OnnxValue& value = exporter.value(view.operand(i));
  const OnnxIntegers* integers =
      value.kind == OnnxValue::Kind::kTensor ? exporter.integers(value.name) : nullptr;
  return integers && integers->dtype == DType::kU8 ? integers : nullptr;
}

bool has_byte_weights(const Exporter& exporter, const OpView& view) {
  return has_integer_weights(exporter.graph_module(), *view.node()) &&
         view.param(view.def().weight).scalar_type() == at::kChar;
}

// The steps above which an activation leaves nothing: 255 if the type ends there anyway.
int last_step(OpId activation, const Type& type, int zero) {
  constexpr int kLast = 255;
  if (activation != OpId::kRelu6) return kLast;
  const long steps = std::lround(6.0F / type.qparams->scale);
  return static_cast<int>(std::min<long>(kLast, zero + steps));
}

bool needs_clip(OpId activation, const Type& type) {
  if (activation == OpId::kNone) return false;
  const int zero = type.dtype == DType::kI8 ? 128 : type.qparams->zero_point;
  return zero != 0 || last_step(activation, type, zero) != 255;
}

std::string clip_bytes(Exporter& exporter, const Node& node, const std::string& bytes) {
  const OpId activation = node.epilogue_activation();
  if (!needs_clip(activation, node.type)) return bytes;
  const int zero = node.type.dtype == DType::kI8 ? 128 : node.type.qparams->zero_point;
  return add_clip(exporter.builder(), bytes, DType::kU8, zero,
                  last_step(activation, node.type, zero));
}

bool clips_here(const Exporter& exporter, const Node& node) {
  return exporter.opset() >= kIntegerClipOpset ||
         !needs_clip(node.epilogue_activation(), node.type);
}

struct Weight {
  std::string values, scale, zero_point;
};

// `integers` may be those of the weight in another order.
absl::StatusOr<Weight> write_weight(Exporter& exporter, const IntegerTensor& weight,
                                    const std::string& values) {
  const at::Tensor scale =
      weight.scale.numel() > 1 ? weight.scale.flatten() : weight.scale.reshape({});
  Weight result{values, "", ""};
  FXQ_ASSIGN_OR_RETURN(result.scale, exporter.derived(weight.path + "_scale", scale));
  FXQ_ASSIGN_OR_RETURN(result.zero_point, exporter.derived(weight.path + "_zero_point",
                                                           at::zeros_like(scale, at::kChar)));
  return result;
}

absl::StatusOr<std::string> transposed(Exporter& exporter, const IntegerTensor& weight) {
  return exporter.derived(weight.path + "_t", weight.integers.t().contiguous());
}

absl::Status finish_bytes(Exporter& exporter, const Node& node, OnnxIntegers bytes) {
  bytes.value = clip_bytes(exporter, node, bytes.value);
  FXQ_ASSIGN_OR_RETURN(std::string floats, exporter.adopt(std::move(bytes), node.name()));
  exporter.set(&node, OnnxValue::tensor(std::move(floats)));
  return absl::OkStatus();
}

// (x - zero point) @ w in int32, + bias, * s_in * s_w.
absl::StatusOr<std::string> integer_sums(Exporter& exporter, const OpView& view,
                                         const OnnxIntegers& x) {
  OnnxBuilder& builder = exporter.builder();
  const IntegerTensor weight = integer_param(view, "weight");
  FXQ_ASSIGN_OR_RETURN(const std::string values, transposed(exporter, weight));
  std::string sums = builder.add("MatMulInteger", {x.value, values, x.zero_point});
  if (view.param("bias").defined()) {
    const IntegerTensor bias = integer_param(view, "bias");
    FXQ_ASSIGN_OR_RETURN(const std::string added, exporter.initializer(bias.path, bias.integers));
    sums = builder.add("Add", {sums, added});
  }
  const double input_scale = view.operand(0)->type.qparams->scale;
  at::Tensor scale = (weight.scale.flatten().to(at::kDouble) * input_scale).to(at::kFloat);
  if (scale.numel() == 1) scale = scale.reshape({});
  FXQ_ASSIGN_OR_RETURN(const std::string step, exporter.derived(weight.path + "_step", scale));
  const std::string floats = add_cast(builder, sums, DType::kF32);
  return builder.add("Mul", {floats, step});
}

}  // namespace

absl::StatusOr<bool> write_q_conv(Exporter& exporter, const OpView& view,
                                  const OnnxAttributes& attributes) {
  const Node& node = *view.node();
  const OnnxIntegers* x = bytes_of(exporter, view, 0);
  const std::optional<Type> summand = summand_type(node, exporter.options());
  const bool fits = is_byte(node.type) && (!node.epilogue_add() || summand) &&
                    (summand || clips_here(exporter, node));
  if (!x || !fits || !has_byte_weights(exporter, view)) return false;
  const IntegerTensor weight = integer_param(view, "weight");
  FXQ_ASSIGN_OR_RETURN(const std::string values,
                       exporter.initializer(weight.path, weight.integers));
  FXQ_ASSIGN_OR_RETURN(const Weight w, write_weight(exporter, weight, values));
  FXQ_ASSIGN_OR_RETURN(OnnxIntegers y, exporter.storage(summand ? *summand : node.type));
  std::vector<std::string> inputs{x->value, x->scale,     x->zero_point, w.values,
                                  w.scale,  w.zero_point, y.scale,       y.zero_point};
  if (view.param("bias").defined()) {
    const IntegerTensor bias = integer_param(view, "bias");
    FXQ_ASSIGN_OR_RETURN(const std::string added, exporter.initializer(bias.path, bias.integers));
    inputs.push_back(added);
  }
  y.value = exporter.builder().add("QLinearConv", std::move(inputs), attributes);
  if (!summand) {
    FXQ_RETURN_IF_ERROR(finish_bytes(exporter, node, std::move(y)));
    return true;
  }
  const std::string name = exporter.builder().unique(node.name() + "_summand");
  FXQ_ASSIGN_OR_RETURN(std::string floats, exporter.adopt(std::move(y), name));
  FXQ_RETURN_IF_ERROR(exporter.finish(view, std::move(floats)));
  return true;
}

absl::StatusOr<bool> write_q_linear(Exporter& exporter, const OpView& view) {
  const Node& node = *view.node();
  const OnnxIntegers* x = bytes_of(exporter, view, 0);
  if (!x || !has_byte_weights(exporter, view)) return false;
  const bool keeps_sums = view.param("bias").defined() || node.epilogue_add() ||
                          !is_byte(node.type) || !clips_here(exporter, node);
  if (keeps_sums) {
    FXQ_ASSIGN_OR_RETURN(std::string floats, integer_sums(exporter, view, *x));
    FXQ_RETURN_IF_ERROR(exporter.finish(view, std::move(floats)));
    return true;
  }
  const IntegerTensor weight = integer_param(view, "weight");
  FXQ_ASSIGN_OR_RETURN(const std::string values, transposed(exporter, weight));
  FXQ_ASSIGN_OR_RETURN(const Weight w, write_weight(exporter, weight, values));
  FXQ_ASSIGN_OR_RETURN(OnnxIntegers y, exporter.storage(node.type));
  y.value = exporter.builder().add("QLinearMatMul", {x->value, x->scale, x->zero_point, w.values,
                                                     w.scale, w.zero_point, y.scale, y.zero_point});
  FXQ_RETURN_IF_ERROR(finish_bytes(exporter, node, std::move(y)));
  return true;
}

absl::StatusOr<bool> write_q_matmul(Exporter& exporter, const OpView& view) {
  const Node& node = *view.node();
  const OnnxIntegers* a = bytes_of(exporter, view, 0);
  const OnnxIntegers* b = bytes_of(exporter, view, 1);
  const bool fits = is_byte(node.type) && !node.epilogue_add() && clips_here(exporter, node);
  if (!a || !b || !fits) return false;
  FXQ_ASSIGN_OR_RETURN(OnnxIntegers y, exporter.storage(node.type));
  y.value =
      exporter.builder().add("QLinearMatMul", {a->value, a->scale, a->zero_point, b->value,
                                               b->scale, b->zero_point, y.scale, y.zero_point});
  FXQ_RETURN_IF_ERROR(finish_bytes(exporter, node, std::move(y)));
  return true;
}

}  // namespace fxq
