// W' = W * gamma / sqrt(var + eps)      b' = (b - mean) * gamma / sqrt(var + eps) + beta
// per output channel, in double, rounded once to W's dtype. The weights go into a new module
// object, so nothing that shares the old one sees them; where they are dense rows they are
// multiplied out at their first use (ScaledWeight).
#include "fxq/passes/batch_norm_fold.h"

#include <ATen/ops/empty.h>

#include "fxq/graph/float_rows.h"
#include "fxq/graph/graph_module.h"
#include "fxq/graph/scaled_weight.h"
#include "fxq/graph/weighted_bn_module.h"

namespace fxq {
namespace {

struct Affine {
  at::Tensor scale, shift;  // y = x * scale + shift, per channel, in double
};

at::Tensor as_double(const at::Tensor& tensor) { return tensor.detach().to(at::kDouble); }

Affine affine_of(const BatchNormFacts& bn) {
  const at::Tensor mean = as_double(bn.mean);
  Affine affine;
  affine.scale = (as_double(bn.var) + bn.eps).rsqrt();
  if (bn.gamma.defined()) affine.scale = as_double(bn.gamma) * affine.scale;
  affine.shift = -mean * affine.scale;
  if (bn.beta.defined()) affine.shift = as_double(bn.beta) + affine.shift;
  return affine;
}

int64_t groups_of(const OpModule& weighted) {
  const Argument* groups = weighted.attribute("groups");
  const auto* count = groups ? groups->get_if<int64_t>() : nullptr;
  return count ? *count : 1;
}

void set_named(NamedTensors& tensors, std::string_view name, at::Tensor tensor) {
  for (auto& [known, value] : tensors) {
    if (known != name) continue;
    value = std::move(tensor);
    return;
  }
  tensors.emplace_back(std::string(name), std::move(tensor));
}

}  // namespace

BatchNormFacts batch_norm_facts(const OpModule& bn) {
  BatchNormFacts facts;
  facts.mean = bn.tensor("running_mean");
  facts.var = bn.tensor("running_var");
  facts.gamma = bn.tensor("weight");
  facts.beta = bn.tensor("bias");
  const Argument* eps = bn.attribute("eps");
  const auto* value = eps ? eps->get_if<double>() : nullptr;
  if (value) facts.eps = *value;
  return facts;
}

void set_batch_norm_frozen(OpModule& bn, bool on) {
  if (on)
    bn.set_attribute("training", false);
  else
    bn.remove_attribute("training");
}

int64_t output_channels(const OpModule& weighted) {
  const OpDef& def = op_def(weighted.op());
  const std::vector<int64_t> sizes = weighted.tensor_sizes(def.weight);
  return sizes[static_cast<size_t>(def.channel_axis)] *
         (def.channel_axis == 1 ? groups_of(weighted) : 1);
}

at::Tensor over_weight(const OpModule& weighted, const at::Tensor& per_output) {
  const OpDef& def = op_def(weighted.op());
  const std::vector<int64_t> sizes = weighted.tensor_sizes(def.weight);
  std::vector<int64_t> shape(sizes.size(), 1);
  shape[0] = sizes[0];
  if (def.channel_axis == 0) return per_output.reshape(shape);
  // [in, out / groups, ...]: input channels of group g make outputs of group g.
  const int64_t groups = groups_of(weighted);
  shape[1] = sizes[1];
  return per_output.reshape({groups, 1, sizes[1]})
      .expand({groups, sizes[0] / groups, sizes[1]})
      .reshape(shape);
}

std::shared_ptr<OpModule> fold_into(const OpModule& weighted, const BatchNormFacts& bn) {
  const OpDef& def = op_def(weighted.op());
  const at::Tensor weight = weighted.tensor(def.weight), bias = weighted.tensor(def.bias);
  const Affine affine = affine_of(bn);
  const at::Tensor scale = over_weight(weighted, affine.scale);
  const bool waits = FloatRows::of(weight).has_value() && scale.numel() == weight.size(0);
  const at::Tensor product =
      waits ? at::empty({0}, at::kFloat)
            : (as_double(weight) * scale).to(weight.scalar_type()).contiguous();
  const at::Tensor new_bias =
      (bias.defined() ? as_double(bias) * affine.scale + affine.shift : affine.shift)
          .to(weight.scalar_type());
  NamedTensors tensors = weighted.OpModule::tensors();
  const bool trains = weight.requires_grad();
  set_named(tensors, def.weight, product.set_requires_grad(trains));
  set_named(tensors, def.bias, new_bias.contiguous().set_requires_grad(trains));
  auto module = std::make_shared<OpModule>(weighted.class_name(), weighted.op(), std::move(tensors),
                                           weighted.OpModule::attributes());
  if (waits) {
    module->set_scaled_weight(std::string(def.weight),
                              std::make_shared<const ScaledWeight>(weight, scale));
  }
  module->train(weighted.is_training());
  return module;
}

bool fold_batch_norm_modules(GraphModule& gm) {
  bool changed = false;
  for (const std::string& path : gm.module_paths()) {
    const auto module = std::dynamic_pointer_cast<WeightedBnModule>(gm.module(path));
    if (!module) continue;
    gm.set_module(path, fold_into(*module, batch_norm_facts(*module->batch_norm())));
    changed = true;
  }
  return changed;
}

}  // namespace fxq
