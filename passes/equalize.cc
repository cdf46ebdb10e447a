// r1[c] = max |W1[c]|, r2[c] = max |W2[:, c]|, s[c] = sqrt(r1 / r2):
// W1[c] /= s[c], b1[c] /= s[c], W2[:, c] *= s[c]; then both have max sqrt(r1 * r2). f(x / s) is
// f(x) / s for s > 0 where f is a relu, leaky_relu, prelu or a pool. Chains converge in a few
// rounds.
#include "fxq/passes/equalize.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/sqrt.h>
#include <ATen/ops/where.h>

#include <map>

#include "fxq/graph/view.h"
#include "fxq/graph/weighted_bn_module.h"
#include "fxq/passes/effects.h"

namespace fxq {
namespace {

constexpr int kMostRounds = 20;
constexpr double kSettled = 1e-3;  // scales within this of 1 change nothing worth a round

struct Pair {
  std::string first, second;  // paths
};

// f(k * x) = k * f(x) for k > 0, channel by channel.
bool keeps_positive_factors(OpId op) { return op_def(op).homogeneous; }

// A pool reads the axes behind the channels only if those are the axes that `first` convolves over.
bool keeps_channels_apart(OpId op, OpId first) {
  return spatial_axes(op) == 0 || spatial_axes(op) == spatial_axes(first);
}

class Equalizer {
 public:
  explicit Equalizer(GraphModule& gm) : gm_(gm) {
    for (const Node* node : gm.graph().nodes()) {
      if (node->is(NodeKind::kCallModule)) ++calls_[node->target()];
    }
  }

  bool run() {
    std::vector<Pair> pairs;
    for (const Node* node : gm_.graph().nodes()) {
      if (const Node* next = partner(*node)) pairs.push_back({node->target(), next->target()});
    }
    bool changed = false;
    for (int round = 0; round < kMostRounds; ++round) {
      bool moved = false;
      for (const Pair& pair : pairs) moved |= equalize(pair);
      changed |= moved;
      if (!moved) break;
    }
    return changed;
  }

 private:
  OpModule* plain_module(const Node& node) const {
    OpModule* module = gm_.op_module(node);
    const bool plain = module && is_weighted(node.op()) &&
                       !dynamic_cast<WeightedBnModule*>(module) &&
                       module->kind() == op_def(node.op()).name && calls_.at(node.target()) == 1;
    return plain && op_def(node.op()).channel_axis == 0 ? module : nullptr;
  }

  // The weighted call that alone reads this one, through what keeps positive factors at most.
  const Node* partner(const Node& node) const {
    if (!plain_module(node) || node.epilogue_add()) return nullptr;
    const OpId activation = node.epilogue_activation();
    if (activation != OpId::kNone && !keeps_positive_factors(activation)) return nullptr;
    const Node* value = &node;
    while (value->users().size() == 1) {
      const Node* user = *value->users().begin();
      if (keeps_positive_factors(user->op()) && keeps_channels_apart(user->op(), node.op()) &&
          OpView(gm_, user).operand(0) == value && !user->epilogue_add()) {
        value = user;
        continue;
      }
      const bool reads = is_weighted(user->op()) && OpView(gm_, user).operand(0) == value;
      return reads && fits(node, *user) ? user : nullptr;
    }
    return nullptr;
  }

  // Input channels of `second` are output channels of `first`, and neither is written to on the
  // way.
  bool fits(const Node& first, const Node& second) const {
    const OpModule* b = plain_module(second);
    if (!b || !barriers(gm_.graph()).empty()) return false;
    const bool linear = second.op() == OpId::kLinear;
    if (linear != (first.op() == OpId::kLinear)) return false;
    const at::Tensor w = weight(first.target());
    return w.size(0) == inputs_of(second.target()) && w.scalar_type() == at::kFloat;
  }

  const OpModule& module(const std::string& path) const {
    return *std::dynamic_pointer_cast<OpModule>(gm_.module(path));
  }
  at::Tensor weight(const std::string& path) const {
    return module(path).tensor(op_def(module(path).op()).weight).detach();
  }
  int64_t groups(const std::string& path) const {
    const Argument* groups = module(path).attribute("groups");
    const auto* count = groups ? groups->get_if<int64_t>() : nullptr;
    return count ? *count : 1;
  }
  int64_t inputs_of(const std::string& path) const { return weight(path).size(1) * groups(path); }

  // [groups, out / groups, in / groups, rest]: input channels of group g make outputs of group g.
  at::Tensor by_input(const std::string& path) const {
    const at::Tensor w = weight(path);
    return w.reshape({groups(path), w.size(0) / groups(path), w.size(1), -1});
  }

  bool equalize(const Pair& pair) {
    const at::Tensor w1 = weight(pair.first).flatten(1), w2 = by_input(pair.second);
    const at::Tensor r1 = w1.abs().amax({1}).to(at::kDouble);
    const at::Tensor r2 = w2.abs().amax({1, 3}).flatten().to(at::kDouble);
    // A channel that is zero on either side has nothing to balance.
    const at::Tensor balanced = r1.gt(0).logical_and(r2.gt(0));
    const at::Tensor s = at::where(balanced, at::sqrt(r1 / r2), at::ones_like(r1));
    if ((s - 1).abs().max().item<double>() < kSettled) return false;
    const at::Tensor scale = s.to(at::kFloat);
    replace(pair.first, (w1 / scale.view({-1, 1})).view(weight(pair.first).sizes()), scale);
    const at::Tensor factors = scale.view({w2.size(0), 1, w2.size(2), 1});
    replace(pair.second, (w2 * factors).reshape(weight(pair.second).sizes()), {});
    return true;
  }

  // A new module, for others may share the old one; the bias is divided too, if `scale` is given.
  void replace(const std::string& path, at::Tensor new_weight, const at::Tensor& scale) {
    const OpModule& old = module(path);
    const OpDef& def = op_def(old.op());
    auto made = std::dynamic_pointer_cast<OpModule>(old.clone_leaf());
    const bool trains = old.tensor(def.weight).requires_grad();
    made->set_tensor(std::string(def.weight), new_weight.contiguous().set_requires_grad(trains));
    const at::Tensor bias = old.tensor(def.bias);
    if (scale.defined() && bias.defined()) {
      const at::Tensor divided = bias.detach() / scale;
      made->set_tensor(std::string(def.bias), divided.set_requires_grad(bias.requires_grad()));
    }
    gm_.set_module(path, made);
  }

  GraphModule& gm_;
  std::map<std::string, int> calls_;
};

}  // namespace

absl::StatusOr<bool> equalize(GraphModule& gm) { return Equalizer(gm).run(); }

}  // namespace fxq
