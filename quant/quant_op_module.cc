// y = op(x, fake_quantize(weight), bias, attributes...)
#include "fxq/quant/quant_op_module.h"

#include <ATen/core/function_schema.h>

#include "fxq/base/check.h"
#include "fxq/base/status.h"
#include "fxq/graph/interpreter.h"
#include "fxq/graph/scaled_weight.h"

namespace fxq {
namespace {

constexpr std::string_view kPrefix = "weight_fq_";
constexpr std::string_view kKindPrefix = "fq_";

bool has_prefix(const std::string& name) { return name.compare(0, kPrefix.size(), kPrefix) == 0; }

template <typename Named>
void append_prefixed(Named& all, const Named& inner) {
  for (const auto& [name, value] : inner) all.emplace_back(std::string(kPrefix) + name, value);
}

// What carries the prefix, without it; the rest stays in `all`.
template <typename Named>
Named take_prefixed(Named& all) {
  Named own;
  Named inner;
  for (auto& [name, value] : all) {
    if (has_prefix(name))
      inner.emplace_back(name.substr(kPrefix.size()), std::move(value));
    else
      own.emplace_back(name, std::move(value));
  }
  all = std::move(own);
  return inner;
}

absl::StatusOr<std::shared_ptr<LeafModule>> read_quant_op_module(OpId op, ModuleSpec spec) {
  NamedTensors fq_tensors = take_prefixed(spec.tensors);
  NamedAttributes fq_attributes = take_prefixed(spec.attributes);
  FXQ_ASSIGN_OR_RETURN(auto leaf, read_fake_quantize(fq_tensors, fq_attributes));
  const OpModule plain(spec.class_name, op, spec.tensors, spec.attributes);
  return std::make_shared<QuantOpModule>(plain, std::dynamic_pointer_cast<FakeQuantize>(leaf));
}

}  // namespace

QuantOpModule::QuantOpModule(const OpModule& op, std::shared_ptr<FakeQuantize> weight_fake_quant)
    : OpModule(op, op.class_name()), weight_fq_(std::move(weight_fake_quant)) {
  register_module("weight_fake_quant", weight_fq_);
}

std::shared_ptr<OpModule> QuantOpModule::without_fake_quant() const {
  return std::static_pointer_cast<OpModule>(OpModule::clone_leaf());
}

absl::Status QuantOpModule::observe_weight() {
  const std::lock_guard<std::mutex> lock(first_run_);
  if (weight_fq_->is_calibrated()) return absl::OkStatus();
  try {
    const auto waiting = waiting_weight();
    if (waiting && weight_fq_->observes_rows()) {
      weight_fq_->observe_rows(waiting->rows());
    } else {
      weight_fq_->observe(tensor(op_def(op()).weight));
    }
  } catch (const c10::Error& error) {
    return absl::InvalidArgumentError("its weight cannot be quantized: " +
                                      std::string(error.what_without_backtrace()));
  }
  return absl::OkStatus();
}

c10::IValue QuantOpModule::call(const std::string& method, std::vector<c10::IValue> inputs) {
  TORCH_CHECK(method == "forward", kind(), " has no method '", method, "'");
  const absl::Status observed = observe_weight();
  TORCH_CHECK(observed.ok(), std::string(observed.message()));
  auto stack = bind(std::move(inputs));
  TORCH_CHECK(stack.ok(), std::string(stack.status().message()));
  const c10::FunctionSchema& schema = *callee().schema;
  const std::string weight(op_def(op()).weight);
  const auto index = static_cast<size_t>(*schema.argumentIndexWithName(weight));
  (*stack)[index] = weight_fq_->forward((*stack)[index].toTensor());
  auto result = call_schema(schema, *std::move(stack));
  TORCH_CHECK(result.ok(), std::string(result.status().message()));
  return *std::move(result);
}

std::string QuantOpModule::kind() const { return std::string(kKindPrefix) + OpModule::kind(); }

NamedTensors QuantOpModule::tensors() const {
  NamedTensors all = OpModule::tensors();
  append_prefixed(all, weight_fq_->tensors());
  return all;
}

NamedTensors QuantOpModule::known_tensors() const {
  NamedTensors all = OpModule::known_tensors();
  append_prefixed(all, weight_fq_->tensors());
  return all;
}

NamedAttributes QuantOpModule::attributes() const {
  NamedAttributes all = OpModule::attributes();
  append_prefixed(all, weight_fq_->attributes());
  return all;
}

std::shared_ptr<LeafModule> QuantOpModule::clone_leaf() const {
  auto copy = std::make_shared<QuantOpModule>(
      *this, std::dynamic_pointer_cast<FakeQuantize>(weight_fq_->clone_leaf()));
  copy->train(is_training());
  return copy;
}

void QuantOpModule::set_tensor(const std::string& name, at::Tensor tensor) {
  if (has_prefix(name)) return weight_fq_->set_tensor(name.substr(kPrefix.size()), tensor);
  OpModule::set_tensor(name, std::move(tensor));
}

absl::StatusOr<std::shared_ptr<QuantOpModule>> make_quant_op_module(
    const OpModule& op, const FakeQuantizeFactory& weight) {
  const OpDef& def = op_def(op.op());
  FXQ_CHECK(op.has_tensor(def.weight), "a weighted module has a weight");
  FakeQuantizeOptions options = weight.options();
  FXQ_ASSIGN_OR_RETURN(options.observer_kwargs,
                       observer_options(options.observer, options.observer_kwargs));
  if (options.observer_kwargs.ch_axis) {
    options.observer_kwargs.ch_axis = def.channel_axis;
    options.observer_kwargs.channel_len =
        static_cast<int>(op.tensor_sizes(def.weight)[static_cast<size_t>(def.channel_axis)]);
  }
  FXQ_ASSIGN_OR_RETURN(auto fake_quant, FakeQuantize::create(std::move(options)));
  return std::make_shared<QuantOpModule>(op, std::move(fake_quant));
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

}  // namespace fxq
