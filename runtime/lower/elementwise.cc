// add, sub, mul, cat, relu, quantize, dequantize: their steps carry the scales.
#include "fxq/base/status.h"
#include "fxq/runtime/lower/family.h"
#include "fxq/runtime/lower/lowering.h"

namespace fxq {
namespace {

absl::StatusOr<std::vector<ValueId>> operand_values(const Lowering& lowering, const OpView& view) {
  std::vector<ValueId> values;
  for (const Node* operand : view.operands()) {
    FXQ_ASSIGN_OR_RETURN(const ValueId value, lowering.value(operand));
    values.push_back(value);
  }
  return values;
}

double scale_of(const Node& node) { return static_cast<double>(node.type.qparams->scale); }

absl::Status lower_binary(Lowering& lowering, const OpView& view, std::string kernel) {
  FXQ_ASSIGN_OR_RETURN(std::vector<ValueId> inputs, operand_values(lowering, view));
  if (inputs.size() != 2) return absl::InvalidArgumentError("needs two tensor operands");
  const Node& node = *view.node();
  Step& step = lowering.node_step(std::move(kernel), node, std::move(inputs));
  step.attrs["scale_a"] = scale_of(*view.operand(0));
  step.attrs["scale_b"] = scale_of(*view.operand(1));
  step.attrs["scale_out"] = scale_of(node);
  step.attrs["dtype"] = dtype_text(node.type);
  add_activation(step, node);
  return absl::OkStatus();
}

}  // namespace

absl::Status lower_Add(Lowering& lowering, const OpView& view) {
  return lower_binary(lowering, view, "Add");
}

absl::Status lower_Sub(Lowering& lowering, const OpView& view) {
  return lower_binary(lowering, view, "Sub");
}

absl::Status lower_Mul(Lowering& lowering, const OpView& view) {
  return lower_binary(lowering, view, "Mul");
}

absl::Status lower_Cat(Lowering& lowering, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(std::vector<ValueId> inputs, operand_values(lowering, view));
  std::vector<double> scales;
  for (const Node* operand : view.operands()) scales.push_back(scale_of(*operand));
  const Node& node = *view.node();
  Step& step = lowering.node_step("Cat", node, std::move(inputs));
  step.attrs["dim"] = view.attr_int("dim");
  step.attrs["scales"] = std::move(scales);
  step.attrs["scale_out"] = scale_of(node);
  step.attrs["dtype"] = dtype_text(node.type);
  return absl::OkStatus();
}

absl::Status lower_Quantize(Lowering& lowering, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const ValueId input, lowering.value(view.operand(0)));
  Step& step = lowering.node_step("Quantize", *view.node(), {input});
  step.attrs["dtype"] = dtype_text(view.node()->type);
  step.attrs["scale"] = scale_of(*view.node());
  return absl::OkStatus();
}

absl::Status lower_Dequantize(Lowering& lowering, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const ValueId input, lowering.value(view.operand(0)));
  Step& step = lowering.node_step("Dequantize", *view.node(), {input});
  step.attrs["scale"] = scale_of(*view.operand(0));
  return absl::OkStatus();
}

absl::Status lower_Requantize(Lowering& lowering, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const ValueId input, lowering.value(view.operand(0)));
  Step& step = lowering.node_step("Requantize", *view.node(), {input});
  step.attrs["scale_in"] = scale_of(*view.operand(0));
  step.attrs["scale_out"] = scale_of(*view.node());
  step.attrs["dtype"] = dtype_text(view.node()->type);
  return absl::OkStatus();
}

}  // namespace fxq
