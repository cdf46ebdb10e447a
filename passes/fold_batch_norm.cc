// W' = W * gamma / sqrt(var + eps)      b' = (b - mean) * gamma / sqrt(var + eps) + beta
// per output channel, in double, rounded once to W's dtype. The weights go into a new module
// object, so nothing that shares the old one sees them; where they are dense rows they are
// multiplied out at their first use (ScaledWeight).
#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include "fxq/graph/float_rows.h"
#include "fxq/graph/op_module.h"
#include "fxq/graph/scaled_weight.h"
#include "fxq/graph/view.h"
#include "fxq/passes/effects.h"
#include "fxq/passes/fuse_rules.h"

namespace fxq {
namespace {

std::string refuse_statistics(const GraphModule& gm, const Node& bn) {
  const OpView view(gm, &bn);
  for (const char* name : {"weight", "bias", "running_mean", "running_var"}) {
    if (view.param_node(name) && !view.param(name).defined()) {
      return fmt::format("{} of %{} is computed by %{}", name, bn.name(),
                         view.param_node(name)->name());
    }
  }
  if (!view.param("running_mean").defined() || !view.param("running_var").defined()) {
    return fmt::format("%{} keeps no running statistics", bn.name());
  }
  if (!runs_in_training_mode(gm, bn)) return "";
  return fmt::format("%{} is in training mode: call eval() first", bn.name());
}

// Channels of a batch norm stand at dimension 1; those of a linear are last.
std::string refuse_layout(const Node& weighted) {
  if (weighted.op() == OpId::kLinear && weighted.type.rank() != 2) {
    return fmt::format("%{} must have 2 dimensions, its type is {}", weighted.name(),
                       weighted.type.to_string());
  }
  return "";
}

// Output channels: of a transposed convolution, axis 1 counts those of one group.
int64_t output_channels(const OpView& weighted, const at::Tensor& weight) {
  const int axis = weighted.def().channel_axis;
  return weight.size(axis) * (axis == 1 ? weighted.attr_int("groups", 1) : 1);
}

std::string refuse_fold(const GraphModule& gm, const Node& weighted, const Node& bn,
                        const RewriteScope& scope) {
  const OpModule* module = gm.op_module(weighted);
  if (!module) {
    return fmt::format("%{} is no module: run modularize first", weighted.name());
  }
  if (const int uses = scope.module_uses(weighted.target()); uses != 1) {
    return fmt::format("module @{} is used {} times", weighted.target(), uses);
  }
  for (std::string reason : {refuse_statistics(gm, bn), refuse_layout(weighted)}) {
    if (!reason.empty()) return reason;
  }
  const OpView view(gm, &weighted);
  const at::Tensor weight = view.param(view.def().weight);
  if (!weight.defined()) return fmt::format("%{} has no weight", weighted.name());
  const int64_t channels = output_channels(view, weight);
  const int64_t normalised = OpView(gm, &bn).param("running_mean").numel();
  if (channels == normalised) return "";
  return fmt::format("%{} has {} output channels, %{} normalises {}", weighted.name(), channels,
                     bn.name(), normalised);
}

struct Affine {
  at::Tensor scale, shift;  // y = x * scale + shift, per channel, in double
};

at::Tensor as_double(const at::Tensor& tensor) { return tensor.detach().to(at::kDouble); }

Affine affine_of(const OpView& bn) {
  const at::Tensor mean = as_double(bn.param("running_mean"));
  const at::Tensor var = as_double(bn.param("running_var"));
  const at::Tensor gamma = bn.param("weight"), beta = bn.param("bias");
  Affine affine;
  affine.scale = (var + bn.attr_float("eps", 1e-5)).rsqrt();
  if (gamma.defined()) affine.scale = as_double(gamma) * affine.scale;
  affine.shift = -mean * affine.scale;
  if (beta.defined()) affine.shift = as_double(beta) + affine.shift;
  return affine;
}

// One factor per element along the weight's channel axis, shaped to broadcast over the weight.
at::Tensor scale_for(const OpView& weighted, const at::Tensor& weight, const at::Tensor& scale) {
  std::vector<int64_t> shape(static_cast<size_t>(weight.dim()), 1);
  if (weighted.def().channel_axis == 0) {
    shape[0] = weight.size(0);
    return scale.reshape(shape);
  }
  // [in, out / groups, ...]: input channels of group g make outputs of group g.
  const int64_t groups = weighted.attr_int("groups", 1);
  shape[0] = weight.size(0);
  shape[1] = weight.size(1);
  return scale.reshape({groups, 1, weight.size(1)})
      .expand({groups, weight.size(0) / groups, weight.size(1)})
      .reshape(shape);
}

void set_named(NamedTensors& tensors, std::string_view name, at::Tensor tensor) {
  for (auto& [known, value] : tensors) {
    if (known != name) continue;
    value = std::move(tensor);
    return;
  }
  tensors.emplace_back(std::string(name), std::move(tensor));
}

std::shared_ptr<OpModule> folded(const OpView& weighted, const OpModule& old, const OpView& bn) {
  const at::Tensor weight = weighted.param(weighted.def().weight);
  const at::Tensor bias = weighted.param(weighted.def().bias);
  const Affine affine = affine_of(bn);
  const at::Tensor scale = scale_for(weighted, weight, affine.scale);
  const bool waits = FloatRows::of(weight).has_value() && scale.numel() == weight.size(0);
  const at::Tensor new_bias =
      (bias.defined() ? as_double(bias) * affine.scale + affine.shift : affine.shift)
          .to(weight.scalar_type());
  NamedTensors tensors = old.tensors();
  const bool trains = weight.requires_grad();
  const at::Tensor product =
      waits ? at::empty({0}, at::kFloat)
            : (as_double(weight) * scale).to(weight.scalar_type()).contiguous();
  set_named(tensors, weighted.def().weight, product.set_requires_grad(trains));
  set_named(tensors, weighted.def().bias, new_bias.contiguous().set_requires_grad(trains));
  auto module =
      std::make_shared<OpModule>(old.class_name(), old.op(), std::move(tensors), old.attributes());
  if (waits) {
    module->set_scaled_weight(std::string(weighted.def().weight),
                              std::make_shared<const ScaledWeight>(weight, scale));
  }
  module->train(old.is_training());
  return module;
}

}  // namespace

Action fold_batch_norm(const Pat& weighted) {
  auto print = [=](std::vector<const PatNode*>& wildcards) {
    return to_string(weighted, wildcards) + ", batch norm folded into its weights";
  };
  auto refuse = [=](const GraphModule& gm, const Match& match, const RewriteScope& scope) {
    return refuse_fold(gm, *match.at(weighted), *match.root, scope);
  };
  auto apply = [=](GraphModule& gm, const Match& match) -> absl::StatusOr<Node*> {
    Node* node = match.at(weighted);
    const std::string path = node->target();
    auto module = folded(OpView(gm, node), *gm.op_module(*node), OpView(gm, match.root));
    gm.set_module(path, std::move(module));
    gm.graph().move_before(node, match.root);
    return node;
  };
  return Action(print, refuse, apply);
}

}  // namespace fxq
