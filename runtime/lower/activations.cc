// relu, relu6, functions as tables, batch_norm: one operand, sometimes constants made in quant/.
#include <ATen/core/Tensor.h>

#include <cmath>

#include "fxq/base/status.h"
#include "fxq/quant/tables.h"
#include "fxq/runtime/lower/family.h"
#include "fxq/runtime/lower/lowering.h"

namespace fxq {
namespace {

using MakeTable = absl::StatusOr<at::Tensor> (*)(const GraphModule& gm, const Node& node);

absl::Status look_up(Lowering& lowering, const OpView& view, std::string kernel, MakeTable make) {
  const Node& node = *view.node();
  FXQ_ASSIGN_OR_RETURN(const ValueId input, lowering.value(view.operand(0)));
  FXQ_ASSIGN_OR_RETURN(const at::Tensor table, make(lowering.graph_module(), node));
  FXQ_ASSIGN_OR_RETURN(const ValueId entries, lowering.constant(node.name() + ".table", table));
  lowering.node_step(std::move(kernel), node, {input, entries});
  return absl::OkStatus();
}

absl::Status along_dim(Lowering& lowering, const OpView& view, std::string kernel) {
  FXQ_ASSIGN_OR_RETURN(const ValueId input, lowering.value(view.operand(0)));
  Step& step = lowering.node_step(std::move(kernel), *view.node(), {input});
  step.attrs["dim"] = view.attr_int("dim");
  return absl::OkStatus();
}

}  // namespace

absl::Status lower_Relu(Lowering& lowering, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const ValueId input, lowering.value(view.operand(0)));
  lowering.node_step("Relu", *view.node(), {input});
  return absl::OkStatus();
}

absl::Status lower_Relu6(Lowering& lowering, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const ValueId input, lowering.value(view.operand(0)));
  Step& step = lowering.node_step("Relu6", *view.node(), {input});
  const double scale = static_cast<double>(view.node()->type.qparams->scale);
  step.attrs["hi"] = static_cast<int64_t>(std::nearbyint(static_cast<float>(6.0 / scale)));
  return absl::OkStatus();
}

absl::Status lower_Table(Lowering& lowering, const OpView& view) {
  return look_up(lowering, view, "Table", make_table);
}

absl::Status lower_Softmax(Lowering& lowering, const OpView& view) {
  return along_dim(lowering, view, "Softmax");
}

absl::Status lower_LogSoftmax(Lowering& lowering, const OpView& view) {
  return along_dim(lowering, view, "LogSoftmax");
}

// The kernel's tables are of 8 bits; through floats come the entries of the long ones.
absl::Status lower_Prelu(Lowering& lowering, const OpView& view) {
  if (view.operand(0)->type.dtype == DType::kI16) return lower_through_float(lowering, view);
  return look_up(lowering, view, "Prelu", make_prelu_tables);
}

absl::Status lower_BatchNorm(Lowering& lowering, const OpView& view) {
  const Node& node = *view.node();
  FXQ_ASSIGN_OR_RETURN(const ValueId input, lowering.value(view.operand(0)));
  const auto [factor, offset] = make_batch_norm_affine(lowering.graph_module(), node);
  FXQ_ASSIGN_OR_RETURN(const ValueId a, lowering.constant(node.name() + ".a", factor));
  FXQ_ASSIGN_OR_RETURN(const ValueId b, lowering.constant(node.name() + ".b", offset));
  Step& step = lowering.node_step("BatchNorm", node, {input, a, b});
  step.attrs["dtype"] = dtype_text(node.type);
  add_activation(step, node);
  return absl::OkStatus();
}

}  // namespace fxq
