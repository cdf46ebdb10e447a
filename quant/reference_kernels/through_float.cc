// %y = softmax(%x) : i8[..] q(0.003), %x : i8[..] q(0.1)   ->   quantize(softmax(x * 0.1), 0.003)
#include "fxq/quant/reference_kernels/through_float.h"

#include <ATen/TensorOperators.h>

#include <algorithm>
#include <functional>

#include "fxq/base/status.h"
#include "fxq/quant/reference_kernels/arithmetic.h"

namespace fxq {
namespace {

using Convert = std::function<at::Tensor(const Node& value, const at::Tensor& tensor)>;

// The evaluated argument with each tensor of integers converted.
c10::IValue converted(const Argument& argument, const c10::IValue& value, const Convert& convert) {
  if (const Node* node = argument.node()) {
    const bool integers = value.isTensor() && node->type.is_quantized();
    return integers ? c10::IValue(convert(*node, value.toTensor())) : value;
  }
  const std::vector<Argument>* items = argument.items();
  if (!items || !value.isTensorList()) return value;
  c10::List<at::Tensor> list;
  for (size_t i = 0; i < items->size(); ++i) {
    list.push_back(converted((*items)[i], value.toTensorVector()[i], convert).toTensor());
  }
  return list;
}

std::vector<c10::IValue> all_converted(const ReferenceCall& call, const Convert& convert) {
  std::vector<c10::IValue> args;
  for (size_t i = 0; i < call.args.size(); ++i) {
    args.push_back(converted(call.node.args()[i], call.args[i], convert));
  }
  return args;
}

c10::IValue quantized(const c10::IValue& value, const Type& type) {
  if (value.isTensor() && type.is_quantized()) {
    return quantize(value.toTensor(), type.qparams->scale, *type.dtype);
  }
  if (!value.isTuple() || type.elements.empty()) return value;
  std::vector<c10::IValue> parts = value.toTupleRef().elements().vec();
  for (size_t i = 0; i < parts.size() && i < type.elements.size(); ++i) {
    parts[i] = quantized(parts[i], type.elements[i]);
  }
  return c10::ivalue::Tuple::create(std::move(parts));
}

at::Tensor rounded(const at::Tensor& p, DType dtype) {
  if (dtype != DType::kI8) return saturate(p, dtype);
  return (saturate(p + 128.0F, DType::kU8).to(at::kShort) - 128).to(at::kChar);
}

absl::StatusOr<c10::IValue> contract(const ReferenceCall& call) {
  FXQ_ASSIGN_OR_RETURN(const c10::IValue sums,
                       call.run(all_converted(call, [](const Node&, const at::Tensor& tensor) {
                         return tensor.to(at::kDouble);
                       })));
  const at::Tensor p = sums.toTensor().to(at::kFloat) * contraction_multiplier(call.view);
  return rounded(p, call.output_dtype());
}

}  // namespace

std::string through_float_limits(const OpView& view) {
  const OpDef& def = view.def();
  const Node& node = *view.node();
  const bool has_cell = node.op() != OpId::kNone && (def.bernoulli2 | def.bayes) != kQNone;
  if (!has_cell || def.rule == Rule::kFloatOnly) return "no BPU march has it";
  if (is_weighted(node.op())) return "its weights are integers";
  if (!def.kernel.empty() && !def.params.empty()) return "its parameters are tables";
  const bool plain = !node.epilogue_add() && node.epilogue_activation() == OpId::kNone;
  if (!plain) return "its integer form takes no fused add or activation";
  const bool named = std::any_of(node.kwargs().begin(), node.kwargs().end(),
                                 [](const auto& entry) { return entry.second.is_node(); });
  return named ? "its integer form takes tensors by position only" : "";
}

bool runs_through_float(const OpView& view) {
  const bool has_family = !view.def().kernel.empty() && reference_row(view.op()).run &&
                          reference_row(view.op()).limits(view).empty();
  return !has_family && through_float_limits(view).empty();
}

float contraction_multiplier(const OpView& view) {
  double product = 1.0;
  for (const Node* operand : view.operands()) {
    if (operand->type.qparams) product *= static_cast<double>(operand->type.qparams->scale);
  }
  const std::optional<QParams>& out = view.node()->type.qparams;
  return static_cast<float>(out ? product / static_cast<double>(out->scale) : product);
}

absl::StatusOr<c10::IValue> run_through_float(const ReferenceCall& call) {
  if (call.view.def().contracts) return contract(call);
  FXQ_ASSIGN_OR_RETURN(
      const c10::IValue result,
      call.run(all_converted(call, [](const Node& value, const at::Tensor& tensor) {
        return dequantize(tensor, value.type.qparams->scale);
      })));
  return quantized(result, call.node.type);
}

}  // namespace fxq
