//   %c = conv2d @c(%x)        %c = conv2d @c(%x)               %r = conv2d @c(%x, add=%y,
//   %b = batch_norm @b(%c)    (weights of @b folded in)  ->          activation="relu")
//   %a = add(%b, %y)       -> %a = add(%b, %y)
//   %r = relu(%a)             %r = relu(%a)
// If both operands of an add are weighted ops, the one computed later takes the add: the other is
// there by then (match.cc).
#include "fxq/passes/fuse_rules.h"

#include "fxq/base/status.h"
#include "fxq/passes/batch_norm_fold.h"
#include "fxq/passes/rewriter.h"

namespace fxq {

const RuleSet& batch_norm_rules() {
  static const auto* rules = [] {
    using namespace pat;
    const Pat x, y, w = Weighted(x);
    return new RuleSet{
        {"weighted_bn", BatchNorm(w).any_attrs(), fold_batch_norm(w)},
        {"activation_bn", BatchNorm(Activation(w)).any_attrs(),
         refuse("a batch norm behind an activation cannot go into the weights before it")},
        {"add_bn", BatchNorm(Add(x, y)).any_attrs(),
         refuse("a batch norm behind an add cannot go into the weights before it")},
    };
  }();
  return *rules;
}

const RuleSet& fusion_rules() {
  static const auto* rules = [] {
    using namespace pat;
    const Pat x, y, w = Weighted(x);
    const Pat sum = Add(x, y), difference = Sub(x, y), product = Mul(x, y);
    const Pat bn = BatchNorm(x).any_attrs();
    const char* twice = "both operands are one call's result, which cannot add itself";
    return new RuleSet{
        {"weighted_add_activation", Activation(Add(w, y)), w.with(add(y), activation)},
        {"weighted_add", Add(w, y), w.with(add(y))},
        {"weighted_twice_activation", Activation(Add(w, w)), refuse(twice)},
        {"weighted_twice", Add(w, w), refuse(twice)},
        {"weighted_activation", Activation(w), w.with(activation)},
        {"bn_activation", Activation(bn), bn.with(activation)},
        {"add_activation", Activation(sum), sum.with(activation)},
        {"sub_activation", Activation(difference), difference.with(activation)},
        {"mul_activation", Activation(product), product.with(activation)},
    };
  }();
  return *rules;
}

namespace {

absl::StatusOr<bool> rewrite_batch_norms(GraphModule& gm) {
  FXQ_ASSIGN_OR_RETURN(const RewriteStats stats, rewrite(gm, batch_norm_rules()));
  if (stats.rewrites != 0) gm.remove_unused();
  return stats.rewrites != 0;
}

}  // namespace

absl::StatusOr<bool> fold_batch_norm(GraphModule& gm) {
  FXQ_ASSIGN_OR_RETURN(const bool changed, rewrite_batch_norms(gm));
  if (gm.is_training()) return changed;
  return fold_batch_norm_modules(gm) || changed;
}

absl::StatusOr<bool> fuse(GraphModule& gm) {
  FXQ_ASSIGN_OR_RETURN(const bool folded, rewrite_batch_norms(gm));
  FXQ_ASSIGN_OR_RETURN(const RewriteStats stats, rewrite(gm, fusion_rules()));
  if (stats.rewrites != 0) gm.remove_unused();
  return folded || stats.rewrites != 0;
}

}  // namespace fxq
