//   %c = conv2d @c(%x)            eval mode, W' and b' of batch_norm_fold.h:   %b = conv2d @c(%x)
//   %b = batch_norm @b(%c)   ->   training mode, the norm goes on training:    %b = bn_conv2d
//   @c(%x)
#include <fmt/format.h>

#include "fxq/graph/view.h"
#include "fxq/graph/weighted_bn_module.h"
#include "fxq/passes/batch_norm_fold.h"
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
  return "";
}

// In training mode the norm lives on, as a module of its own that nobody else calls.
std::string refuse_training(const GraphModule& gm, const Node& bn, const RewriteScope& scope) {
  if (!runs_in_training_mode(gm, bn)) return "";
  const OpModule* module = gm.op_module(bn);
  if (!module || bn.args().size() != 1) {
    return fmt::format("%{} is in training mode and no module of its own: call eval() first",
                       bn.name());
  }
  if (const int uses = scope.module_uses(bn.target()); uses != 1) {
    return fmt::format("module @{} is used {} times and in training mode: call eval() first",
                       bn.target(), uses);
  }
  return "";
}

// Channels of a batch norm stand at dimension 1; those of a linear are last.
std::string refuse_layout(const Node& weighted) {
  if (weighted.op() == OpId::kLinear && weighted.type.rank() != 2) {
    return fmt::format("%{} must have 2 dimensions, its type is {}", weighted.name(),
                       weighted.type.to_string());
  }
  return "";
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
  for (std::string reason :
       {refuse_statistics(gm, bn), refuse_training(gm, bn, scope), refuse_layout(weighted)}) {
    if (!reason.empty()) return reason;
  }
  if (dynamic_cast<const WeightedBnModule*>(module)) {
    return fmt::format("%{} has a batch norm that trains already", weighted.name());
  }
  if (!module->has_tensor(op_def(module->op()).weight)) {
    return fmt::format("%{} has no weight", weighted.name());
  }
  const int64_t channels = output_channels(*module);
  const int64_t normalised = OpView(gm, &bn).param("running_mean").numel();
  if (channels == normalised) return "";
  return fmt::format("%{} has {} output channels, %{} normalises {}", weighted.name(), channels,
                     bn.name(), normalised);
}

BatchNormFacts facts_of(const OpView& bn) {
  return {bn.param("running_mean"), bn.param("running_var"), bn.param("weight"), bn.param("bias"),
          bn.attr_float("eps", 1e-5)};
}

std::shared_ptr<OpModule> joined(const OpModule& weighted, OpModule& bn) {
  auto inner = std::dynamic_pointer_cast<OpModule>(bn.clone_leaf());
  auto module = std::make_shared<WeightedBnModule>(weighted, std::move(inner));
  module->train(bn.is_training());
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
    const OpModule& op = *gm.op_module(*node);
    auto module = runs_in_training_mode(gm, *match.root)
                      ? joined(op, *gm.op_module(*match.root))
                      : fold_into(op, facts_of(OpView(gm, match.root)));
    gm.set_module(node->target(), std::move(module));
    gm.graph().move_before(node, match.root);
    return node;
  };
  return Action(print, refuse, apply);
}

}  // namespace fxq
