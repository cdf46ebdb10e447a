// Pools, means, upsampling and padding: attributes by their ATen names, spelled out per axis.
#include <cmath>

#include "fxq/base/status.h"
#include "fxq/runtime/lower/family.h"
#include "fxq/runtime/lower/lowering.h"

namespace fxq {
namespace {

void add_scales(Step& step, const OpView& view) {
  step.attrs["scale_in"] = static_cast<double>(view.operand(0)->type.qparams->scale);
  step.attrs["scale_out"] = static_cast<double>(view.node()->type.qparams->scale);
  step.attrs["dtype"] = dtype_text(view.node()->type);
  add_activation(step, *view.node());
}

struct Window {
  IntsAttr kernel;
  IntsAttr stride;
  IntsAttr padding;
  bool ceil_mode = false;

  void put(Step& step) const {
    kernel.put(step, "kernel_size");
    (stride.empty() ? kernel : stride).put(step, "stride");
    padding.put(step, "padding");
    step.attrs["ceil_mode"] = ceil_mode;
  }
};

absl::StatusOr<Window> window_of(Lowering& lowering, const OpView& view) {
  const size_t axes = spatial_axes(view.op());
  Window window;
  FXQ_ASSIGN_OR_RETURN(window.kernel, lowering.ints_attr(view, "kernel_size", axes));
  FXQ_ASSIGN_OR_RETURN(window.stride, lowering.ints_attr(view, "stride", axes));
  FXQ_ASSIGN_OR_RETURN(window.padding, lowering.ints_attr(view, "padding", axes, {0}));
  window.ceil_mode = view.attr_bool("ceil_mode");
  return window;
}

// The output's size by factors, by constants, or by a register that is computed from other sizes.
absl::StatusOr<Step*> resize_step(Lowering& lowering, const OpView& view,
                                  const std::string& kernel) {
  FXQ_ASSIGN_OR_RETURN(const ValueId input, lowering.value(view.operand(0)));
  const Argument sizes = view.attr("output_size");
  if (!sizes.is_none() && !sizes.is_constant()) {
    FXQ_ASSIGN_OR_RETURN(const ValueId ints, lowering.int_input(*view.node(), sizes));
    return &lowering.node_step(kernel, *view.node(), {input, ints});
  }
  std::vector<double> factors;
  const Argument given = view.attr("scale_factors");
  if (const std::vector<Argument>* items = given.items()) {
    for (const Argument& item : *items) {
      if (const auto* real = item.get_if<double>()) factors.push_back(*real);
    }
  }
  if (sizes.is_none() && factors.empty()) {
    return absl::UnimplementedError("its scale factors are computed while it runs");
  }
  Step& step = lowering.node_step(kernel, *view.node(), {input});
  if (sizes.is_none()) {
    step.attrs["scale_factors"] = std::move(factors);
  } else {
    step.attrs["output_size"] = view.attr_ints("output_size");
  }
  return &step;
}

}  // namespace

absl::Status lower_MaxPool(Lowering& lowering, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const ValueId input, lowering.value(view.operand(0)));
  FXQ_ASSIGN_OR_RETURN(const Window window, window_of(lowering, view));
  FXQ_ASSIGN_OR_RETURN(const IntsAttr dilation,
                       lowering.ints_attr(view, "dilation", spatial_axes(view.op()), {1}));
  Step& step = lowering.node_step("MaxPool", *view.node(), {input});
  window.put(step);
  dilation.put(step, "dilation");
  return absl::OkStatus();
}

absl::Status lower_AvgPool(Lowering& lowering, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const ValueId input, lowering.value(view.operand(0)));
  FXQ_ASSIGN_OR_RETURN(const Window window, window_of(lowering, view));
  Step& step = lowering.node_step("AvgPool", *view.node(), {input});
  window.put(step);
  add_scales(step, view);
  step.attrs["count_include_pad"] = view.attr_bool("count_include_pad", true);
  const int64_t divisor = view.attr_int("divisor_override");
  if (divisor != 0) step.attrs["divisor_override"] = divisor;
  return absl::OkStatus();
}

absl::Status lower_AdaptiveAvgPool(Lowering& lowering, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const ValueId input, lowering.value(view.operand(0)));
  FXQ_ASSIGN_OR_RETURN(const IntsAttr sizes,
                       lowering.ints_attr(view, "output_size", spatial_axes(view.op())));
  Step& step = lowering.node_step("AdaptiveAvgPool", *view.node(), {input});
  sizes.put(step, "output_size");
  add_scales(step, view);
  return absl::OkStatus();
}

absl::Status lower_Mean(Lowering& lowering, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const ValueId input, lowering.value(view.operand(0)));
  Step& step = lowering.node_step("Mean", *view.node(), {input});
  if (!view.attr("dim").is_none()) step.attrs["dims"] = view.attr_ints("dim");
  step.attrs["keepdim"] = view.attr_bool("keepdim");
  add_scales(step, view);
  return absl::OkStatus();
}

absl::Status lower_UpsampleNearest(Lowering& lowering, const OpView& view) {
  return resize_step(lowering, view, "UpsampleNearest").status();
}

absl::Status lower_UpsampleBilinear(Lowering& lowering, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(Step* const step, resize_step(lowering, view, "UpsampleBilinear"));
  step->attrs["align_corners"] = view.attr_bool("align_corners");
  return absl::OkStatus();
}

absl::Status lower_Pad(Lowering& lowering, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const ValueId input, lowering.value(view.operand(0)));
  FXQ_ASSIGN_OR_RETURN(const IntsAttr pad, lowering.ints_attr(view, "pad"));
  Step& step = lowering.node_step("Pad", *view.node(), {input});
  pad.put(step, "pad");
  const double scale = static_cast<double>(view.node()->type.qparams->scale);
  step.attrs["value"] = static_cast<int64_t>(std::nearbyint(view.attr_float("value") / scale));
  return absl::OkStatus();
}

}  // namespace fxq
