// conv, conv_transpose, linear: x, weight, multiplier, bias, other -> one step (contract:
// runtime/kernels/conv_problem.h). batch_norm on integers: x, a, b.
#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include "fxq/base/status.h"
#include "fxq/graph/op_module.h"
#include "fxq/quant/tables.h"
#include "fxq/runtime/lower/family.h"
#include "fxq/runtime/lower/lowering.h"

namespace fxq {
namespace {

absl::StatusOr<ValueId> module_constant(Lowering& lowering, const Node& node,
                                        std::string_view name) {
  const at::Tensor tensor = lowering.graph_module().op_module(node)->tensor(name);
  if (!tensor.defined()) return kNoValue;
  return lowering.constant(fmt::format("{}.{}", node.target(), name), tensor);
}

absl::StatusOr<Step*> weighted_step(Lowering& lowering, const OpView& view, std::string kernel) {
  const Node& node = *view.node();
  if (!lowering.graph_module().op_module(node)) {
    return absl::InvalidArgumentError("its weight is no module's; run modularize before convert");
  }
  std::vector<ValueId> inputs(5, kNoValue);
  FXQ_ASSIGN_OR_RETURN(inputs[0], lowering.value(view.operand(0)));
  FXQ_ASSIGN_OR_RETURN(inputs[1], module_constant(lowering, node, "weight"));
  const bool in_floats = !node.type.qparams;  // an out qconfig: the accumulator, scaled
  FXQ_ASSIGN_OR_RETURN(inputs[2],
                       module_constant(lowering, node, in_floats ? "out_scale" : "multiplier"));
  FXQ_ASSIGN_OR_RETURN(inputs[3], module_constant(lowering, node, "bias"));
  const Node* other = node.epilogue_add();
  if (other && in_floats) {
    return absl::UnimplementedError(fmt::format(
        "its float result has %{} added to it: give it a qconfig with an activation, or "
        "one of null to the layer that makes %{}",
        other->name(), other->name()));
  }
  if (other) {
    FXQ_ASSIGN_OR_RETURN(inputs[4], lowering.value(other));
  }
  Step& step = lowering.node_step(std::move(kernel), node, std::move(inputs));
  step.attrs["dtype"] = dtype_text(node.type);
  add_activation(step, node);
  if (other) {
    step.attrs["other_scale"] =
        static_cast<double>(static_cast<float>(scale_ratio(other->type, node.type)));
  }
  return &step;
}

// One entry a spatial axis.
std::vector<int64_t> spatial(const OpView& view, std::string_view name, int64_t fallback) {
  const auto rank = static_cast<size_t>(view.param("weight").dim() - 2);
  std::vector<int64_t> values = view.attr_ints(name, {fallback});
  if (values.size() == 1) values.resize(rank, values[0]);
  return values;
}

void add_geometry(Step& step, const OpView& view) {
  step.attrs["stride"] = spatial(view, "stride", 1);
  step.attrs["padding"] = spatial(view, "padding", 0);
  step.attrs["dilation"] = spatial(view, "dilation", 1);
  step.attrs["groups"] = view.attr_int("groups", 1);
}

}  // namespace

absl::Status lower_Conv(Lowering& lowering, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(Step * step, weighted_step(lowering, view, "Conv"));
  add_geometry(*step, view);
  return absl::OkStatus();
}

absl::Status lower_ConvTranspose(Lowering& lowering, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(Step * step, weighted_step(lowering, view, "ConvTranspose"));
  add_geometry(*step, view);
  step->attrs["output_padding"] = spatial(view, "output_padding", 0);
  return absl::OkStatus();
}

absl::Status lower_Linear(Lowering& lowering, const OpView& view) {
  return weighted_step(lowering, view, "Linear").status();
}

}  // namespace fxq
