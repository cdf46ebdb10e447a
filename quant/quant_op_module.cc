// Without a batch norm:       y = op(x, fq(W), b)
// Statistics moving:          y = bn(op(x, fq(W * s) / s, b))   s = gamma / sqrt(running_var + eps)
// Statistics frozen, or eval: y = op(x, fq(W * s), (b - mean) * s + beta)
// fq(W * s) are the weights that convert_fx makes integers of. Dividing the weight, not the result
// as Python's QAT modules do, is the same value for a fraction of the work. Where gamma is 0 the
// folded weight is 0 and nothing can be divided: such a channel trains with its float weight.
#include "fxq/quant/quant_op_module.h"

#include <ATen/core/function_schema.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/where.h>
#include <fmt/format.h>

#include "fxq/base/check.h"
#include "fxq/base/status.h"
#include "fxq/graph/interpreter.h"
#include "fxq/graph/prefixed_entries.h"
#include "fxq/graph/scaled_weight.h"
#include "fxq/graph/weighted_bn_module.h"
#include "fxq/passes/batch_norm_fold.h"

namespace fxq {
namespace {

constexpr std::string_view kPrefix = "weight_fq_";
constexpr std::string_view kKindPrefix = "fq_";

absl::StatusOr<std::shared_ptr<LeafModule>> read_quant_op_module(OpId op, ModuleSpec spec) {
  const NamedTensors fq_tensors = take_prefixed(spec.tensors, kPrefix);
  const NamedAttributes fq_attributes = take_prefixed(spec.attributes, kPrefix);
  const NamedTensors bn_tensors = take_prefixed(spec.tensors, kBatchNormPrefix);
  const NamedAttributes bn_attributes = take_prefixed(spec.attributes, kBatchNormPrefix);
  FXQ_ASSIGN_OR_RETURN(auto leaf, read_fake_quantize(fq_tensors, fq_attributes));
  const OpModule plain(spec.class_name, op, spec.tensors, spec.attributes);
  std::shared_ptr<OpModule> bn;
  if (!bn_tensors.empty()) {
    bn = std::make_shared<OpModule>("batch_norm", OpId::kBatchNorm, bn_tensors, bn_attributes);
  }
  return std::make_shared<QuantOpModule>(plain, std::dynamic_pointer_cast<FakeQuantize>(leaf),
                                         std::move(bn));
}

// gamma / sqrt(var + eps), under autograd through gamma.
at::Tensor factors_of(const BatchNormFacts& bn) {
  const at::Tensor inverse = at::rsqrt(bn.var.detach() + bn.eps);
  return bn.gamma.defined() ? bn.gamma * inverse : inverse;
}

}  // namespace

QuantOpModule::QuantOpModule(const OpModule& op, std::shared_ptr<FakeQuantize> weight_fake_quant,
                             std::shared_ptr<OpModule> batch_norm)
    : OpModule(op, op.class_name()),
      weight_fq_(std::move(weight_fake_quant)),
      bn_(std::move(batch_norm)) {
  register_module("weight_fake_quant", weight_fq_);
  if (bn_) register_module("bn", bn_);
}

std::shared_ptr<OpModule> QuantOpModule::without_fake_quant() const {
  if (!bn_) return plain();
  auto module = std::make_shared<WeightedBnModule>(*this, bn_);
  module->train(is_training());
  return module;
}

std::shared_ptr<OpModule> QuantOpModule::folded() const {
  return bn_ ? fold_into(*this, batch_norm_facts(*bn_)) : plain();
}

void QuantOpModule::freeze_bn_stats(bool on) {
  if (bn_) set_batch_norm_frozen(*bn_, on);
}

absl::Status QuantOpModule::observe_folded() {
  try {
    const auto waiting = bn_ ? nullptr : waiting_weight();
    if (waiting && weight_fq_->observes_rows()) {
      weight_fq_->observe_rows(waiting->rows());
    } else {
      weight_fq_->observe(folded()->tensor(op_def(op()).weight));
    }
  } catch (const c10::Error& error) {
    return absl::InvalidArgumentError("its weight cannot be quantized: " +
                                      std::string(error.what_without_backtrace()));
  }
  return absl::OkStatus();
}

absl::Status QuantOpModule::observe_weight() {
  const std::lock_guard<std::mutex> lock(first_run_);
  return weight_fq_->is_calibrated() ? absl::OkStatus() : observe_folded();
}

absl::Status QuantOpModule::refresh_weight_scale() {
  const FakeQuantizeOptions& options = weight_fq_->options();
  const bool trains = weight_fq_->observer_enabled() && weight_fq_->fake_quant_enabled();
  const bool follows =
      trains && options.type == kFakeQuant && options.observer_kwargs.averaging_constant == 1.0;
  return follows ? observe_folded() : absl::OkStatus();
}

// Fake-quantized as folded, then divided again: the norm behind sees what it saw in float.
QuantOpModule::Weights QuantOpModule::training_weights() const {
  const OpDef& def = op_def(op());
  const at::Tensor weight = tensor(def.weight);
  const at::Tensor factors = factors_of(batch_norm_facts(*bn_));
  const bool is_plain = def.channel_axis == 0 && weight_fq_->fake_quant_enabled() &&
                        weight_fq_->options().saturate != false;
  if (is_plain) {
    if (weight_fq_->observer_enabled()) {
      const at::NoGradGuard no_grad;
      weight_fq_->observe(weight * over_weight(*this, factors));
    }
    return {weight_fq_->quantized_folded(weight, factors), tensor(def.bias)};
  }
  const at::Tensor factor = over_weight(*this, factors);
  const at::Tensor is_zero = factor.eq(0);
  const at::Tensor divisor = at::where(is_zero, at::ones_like(factor), factor);
  const at::Tensor quantized = weight_fq_->forward(weight * factor) / divisor;
  return {at::where(is_zero, weight, quantized), tensor(op_def(op()).bias)};
}

QuantOpModule::Weights QuantOpModule::frozen_weights() const {
  const OpDef& def = op_def(op());
  if (!bn_) return {weight_fq_->forward(tensor(def.weight)), tensor(def.bias)};
  const BatchNormFacts bn = batch_norm_facts(*bn_);
  if (!is_training()) {  // exactly what convert_fx takes
    const auto module = folded();
    return {weight_fq_->forward(module->tensor(def.weight)), module->tensor(def.bias)};
  }
  const at::Tensor factor = factors_of(bn);
  const at::Tensor bias = tensor(def.bias);
  at::Tensor shift = (bias.defined() ? bias - bn.mean : -bn.mean) * factor;
  if (bn.beta.defined()) shift = shift + bn.beta;
  return {weight_fq_->forward(tensor(def.weight) * over_weight(*this, factor)), shift};
}

c10::IValue QuantOpModule::run(const Weights& weights, std::vector<c10::IValue> inputs) const {
  auto stack = bind(std::move(inputs));
  TORCH_CHECK(stack.ok(), std::string(stack.status().message()));
  const c10::FunctionSchema& schema = *callee().schema;
  const OpDef& def = op_def(op());
  const auto place = [&](std::string_view name) {
    return static_cast<size_t>(*schema.argumentIndexWithName(std::string(name)));
  };
  (*stack)[place(def.weight)] = weights.weight;
  if (weights.bias.defined()) (*stack)[place(def.bias)] = weights.bias;
  auto result = call_schema(schema, *std::move(stack));
  TORCH_CHECK(result.ok(), std::string(result.status().message()));
  return *std::move(result);
}

c10::IValue QuantOpModule::call(const std::string& method, std::vector<c10::IValue> inputs) {
  TORCH_CHECK(method == "forward", kind(), " has no method '", method, "'");
  const absl::Status observed = observe_weight();
  TORCH_CHECK(observed.ok(), std::string(observed.message()));
  const bool statistics_move = bn_ && bn_->is_training() && bn_->follows_mode();
  if (!statistics_move) return run(frozen_weights(), std::move(inputs));
  return bn_->call(method, {run(training_weights(), std::move(inputs))});
}

std::string QuantOpModule::kind() const { return std::string(kKindPrefix) + OpModule::kind(); }

NamedTensors QuantOpModule::tensors() const {
  NamedTensors all = OpModule::tensors();
  append_prefixed(all, weight_fq_->tensors(), kPrefix);
  if (bn_) append_prefixed(all, bn_->tensors(), kBatchNormPrefix);
  return all;
}

NamedTensors QuantOpModule::known_tensors() const {
  NamedTensors all = OpModule::known_tensors();
  append_prefixed(all, weight_fq_->tensors(), kPrefix);
  if (bn_) append_prefixed(all, bn_->tensors(), kBatchNormPrefix);
  return all;
}

NamedAttributes QuantOpModule::attributes() const {
  NamedAttributes all = OpModule::attributes();
  append_prefixed(all, weight_fq_->attributes(), kPrefix);
  if (bn_) append_prefixed(all, bn_->attributes(), kBatchNormPrefix);
  return all;
}

std::shared_ptr<LeafModule> QuantOpModule::clone_leaf() const {
  auto copy = std::make_shared<QuantOpModule>(
      *this, std::dynamic_pointer_cast<FakeQuantize>(weight_fq_->clone_leaf()),
      bn_ ? std::dynamic_pointer_cast<OpModule>(bn_->clone_leaf()) : nullptr);
  copy->train(is_training());
  return copy;
}

void QuantOpModule::set_tensor(const std::string& name, at::Tensor tensor) {
  if (has_prefix(name, kPrefix)) {
    return weight_fq_->set_tensor(name.substr(kPrefix.size()), tensor);
  }
  if (bn_ && has_prefix(name, kBatchNormPrefix)) {
    return bn_->set_tensor(name.substr(kBatchNormPrefix.size()), tensor);
  }
  OpModule::set_tensor(name, std::move(tensor));
}

absl::StatusOr<std::shared_ptr<QuantOpModule>> make_quant_op_module(
    const OpModule& op, const FakeQuantizeFactory& weight) {
  const OpDef& def = op_def(op.op());
  FXQ_CHECK(op.has_tensor(def.weight), "a weighted module has a weight");
  FakeQuantizeOptions options = weight.options();
  FXQ_ASSIGN_OR_RETURN(options.observer_kwargs,
                       observer_options(options.observer, options.observer_kwargs));
  if (std::optional<int>& axis = options.observer_kwargs.ch_axis; axis) {
    if (*axis != 0 && *axis != def.channel_axis) {
      return absl::InvalidArgumentError(
          fmt::format("ch_axis {}: the output channels of {} are axis {} of its weight; leave "
                      "ch_axis out",
                      *axis, def.name, def.channel_axis));
    }
    axis = def.channel_axis;
    options.observer_kwargs.channel_len =
        static_cast<int>(op.tensor_sizes(def.weight)[static_cast<size_t>(def.channel_axis)]);
  }
  FXQ_ASSIGN_OR_RETURN(auto fake_quant, FakeQuantize::create(std::move(options)));
  const auto* with_bn = dynamic_cast<const WeightedBnModule*>(&op);
  return std::make_shared<QuantOpModule>(op, std::move(fake_quant),
                                         with_bn ? with_bn->batch_norm() : nullptr);
}

std::map<std::string, ModuleFactory> quant_module_factories() {
  std::map<std::string, ModuleFactory> factories;
  factories["fake_quantize"] = [](const ModuleSpec& spec) {
    return read_fake_quantize(spec.tensors, spec.attributes);
  };
  for (const OpDef& def : op_table()) {
    if (def.rule != Rule::kWeighted) continue;
    factories[std::string(kKindPrefix) + std::string(def.name)] = [&def](const ModuleSpec& spec) {
      return read_quant_op_module(def.id, spec);
    };
  }
  return factories;
}

absl::StatusOr<GraphModule> load_quant_graph(const std::string& path, LoadOptions options) {
  for (auto& [kind, factory] : quant_module_factories()) options.factories.emplace(kind, factory);
  return load(path, options);
}

}  // namespace fxq
