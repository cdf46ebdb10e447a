// y = batch_norm(op(x, weight, bias))
#include "fxq/graph/weighted_bn_module.h"

#include <fmt/format.h>

#include "fxq/graph/graph_module.h"
#include "fxq/graph/prefixed_entries.h"
#include "fxq/graph/text.h"

namespace fxq {

WeightedBnModule::WeightedBnModule(const OpModule& op, std::shared_ptr<OpModule> batch_norm)
    : OpModule(op, op.class_name()), bn_(std::move(batch_norm)) {
  register_module("bn", bn_);
}

c10::IValue WeightedBnModule::call(const std::string& method, std::vector<c10::IValue> inputs) {
  c10::IValue y = OpModule::call(method, std::move(inputs));
  return bn_->call(method, {std::move(y)});
}

std::string WeightedBnModule::kind() const {
  return std::string(kBatchNormPrefix) + OpModule::kind();
}

NamedTensors WeightedBnModule::tensors() const {
  NamedTensors all = OpModule::tensors();
  append_prefixed(all, bn_->tensors(), kBatchNormPrefix);
  return all;
}

NamedTensors WeightedBnModule::known_tensors() const {
  NamedTensors all = OpModule::known_tensors();
  append_prefixed(all, bn_->tensors(), kBatchNormPrefix);
  return all;
}

NamedAttributes WeightedBnModule::attributes() const {
  NamedAttributes all = OpModule::attributes();
  append_prefixed(all, bn_->attributes(), kBatchNormPrefix);
  return all;
}

std::shared_ptr<LeafModule> WeightedBnModule::clone_leaf() const {
  auto copy = std::make_shared<WeightedBnModule>(
      *this, std::dynamic_pointer_cast<OpModule>(bn_->clone_leaf()));
  copy->train(is_training());
  return copy;
}

void WeightedBnModule::set_tensor(const std::string& name, at::Tensor tensor) {
  if (has_prefix(name, kBatchNormPrefix)) {
    return bn_->set_tensor(name.substr(kBatchNormPrefix.size()), std::move(tensor));
  }
  OpModule::set_tensor(name, std::move(tensor));
}

absl::Status refuse_weighted_bn(const GraphModule& gm, std::string_view function) {
  for (const std::string& path : gm.module_paths()) {
    if (!std::dynamic_pointer_cast<WeightedBnModule>(gm.module(path))) continue;
    return absl::FailedPreconditionError(
        fmt::format("{}: module @{} holds a batch norm that trains; call eval() and run the pass "
                    "fold_batch_norm",
                    function, path));
  }
  return absl::OkStatus();
}

OpId weighted_bn_op(std::string_view kind) {
  if (!has_prefix(kind, kBatchNormPrefix)) return OpId::kNone;
  const OpId op = op_from_name(kind.substr(kBatchNormPrefix.size()));
  return is_weighted(op) ? op : OpId::kNone;
}

absl::StatusOr<std::shared_ptr<LeafModule>> read_weighted_bn_module(const ModuleSpec& spec) {
  NamedTensors tensors = spec.tensors;
  NamedAttributes attributes = spec.attributes;
  const NamedTensors bn_tensors = take_prefixed(tensors, kBatchNormPrefix);
  const NamedAttributes bn_attributes = take_prefixed(attributes, kBatchNormPrefix);
  const OpModule plain(spec.class_name, weighted_bn_op(spec.kind), tensors, attributes);
  auto bn = std::make_shared<OpModule>("batch_norm", OpId::kBatchNorm, bn_tensors, bn_attributes);
  return std::make_shared<WeightedBnModule>(plain, std::move(bn));
}

}  // namespace fxq
