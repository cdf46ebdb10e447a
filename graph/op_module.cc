// y = op(inputs..., tensors..., attributes...), arranged in the order of the op's schema.
#include "fxq/graph/op_module.h"

#include <ATen/core/function_schema.h>
#include <ATen/ops/add.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>

#include "fxq/base/check.h"
#include "fxq/base/status.h"
#include "fxq/graph/interpreter.h"
#include "fxq/graph/ivalue_convert.h"
#include "fxq/graph/naming.h"
#include "fxq/graph/scaled_weight.h"

namespace fxq {
namespace {

constexpr const char* kBatchCounter = "num_batches_tracked";

}  // namespace

OpModule::OpModule(std::string class_name, OpId op, NamedTensors tensors,
                   NamedAttributes attributes)
    : OpModule(std::move(class_name), canonical_schema(op), std::move(tensors),
               std::move(attributes)) {
  op_ = op;
}

OpModule::OpModule(std::string class_name, const c10::FunctionSchema* schema, NamedTensors tensors,
                   NamedAttributes attributes)
    : LeafModule(std::move(class_name)),
      op_(OpId::kNone),
      schema_(schema),
      tensors_(std::move(tensors)),
      attributes_(std::move(attributes)) {
  FXQ_CHECK(schema_ != nullptr, "an OpModule needs a schema");
  for (auto& [name, tensor] : tensors_) {
    if (tensor.defined()) tensor = register_tensor(name, tensor);
  }
}

// The copy has handles of its own: what one multiplies out, the other still waits for.
OpModule::OpModule(const OpModule& other, std::string class_name)
    : LeafModule(std::move(class_name)),
      op_(other.op_),
      schema_(other.schema_),
      attributes_(other.attributes_) {
  const std::lock_guard<std::mutex> lock(other.waiting_mutex_);
  for (const auto& [name, tensor] : other.tensors_) {
    if (other.waiting_ && name == other.waiting_name_) {
      tensors_.emplace_back(name, at::empty({0}, tensor.options()));
      tensors_.back().second.set_requires_grad(tensor.requires_grad());
      set_scaled_weight(name, other.waiting_);
    } else {
      tensors_.emplace_back(name, tensor.defined() ? register_tensor(name, tensor) : tensor);
    }
  }
  train(other.is_training());
}

bool OpModule::is_parameter(const std::string& name, const at::Tensor& tensor) const {
  if (!tensor.is_floating_point()) return false;
  return tensor.requires_grad() || trains_by_name(name);
}

// Buffers get a handle of their own, so that replacing one never reaches the caller's tensor.
at::Tensor OpModule::register_tensor(const std::string& name, const at::Tensor& tensor) {
  if (is_parameter(name, tensor)) {
    return register_parameter(name, tensor, tensor.requires_grad());
  }
  return register_buffer(name, tensor.detach());
}

void OpModule::set_scaled_weight(const std::string& name,
                                 std::shared_ptr<const ScaledWeight> weight) {
  const at::Tensor before = tensor(name);
  const bool trains = before.defined() && before.requires_grad();
  set_tensor(name, at::empty({0}, at::kFloat).set_requires_grad(trains));
  waiting_name_ = name;
  waiting_ = std::move(weight);
  waits_ = true;
}

std::shared_ptr<const ScaledWeight> OpModule::waiting_weight() const {
  const std::lock_guard<std::mutex> lock(waiting_mutex_);
  return waiting_;
}

void OpModule::settle() const {
  if (!waits_.load(std::memory_order_acquire)) return;
  const std::lock_guard<std::mutex> lock(waiting_mutex_);
  if (!waiting_) return;
  for (const auto& [name, tensor] : tensors_) {
    if (name == waiting_name_) tensor.set_data(waiting_->multiplied());
  }
  waiting_.reset();
  waits_.store(false, std::memory_order_release);
}

NamedTensors OpModule::tensors() const {
  settle();
  return tensors_;
}

NamedTensors OpModule::known_tensors() const {
  NamedTensors known = tensors_;
  if (!waiting_weight()) return known;
  const auto waits = [&](const auto& entry) { return entry.first == waiting_name_; };
  known.erase(std::remove_if(known.begin(), known.end(), waits), known.end());
  return known;
}

void OpModule::set_tensor(const std::string& name, at::Tensor tensor) {
  if (name == waiting_name_) {
    const std::lock_guard<std::mutex> lock(waiting_mutex_);
    waiting_.reset();
    waits_ = false;
  }
  for (auto& [key, current] : tensors_) {
    if (key != name) continue;
    if (parameters_.contains(name)) {
      parameters_[name] = tensor;
      current = std::move(tensor);
    } else if (current.defined() && tensor.defined()) {
      current.set_data(tensor.detach());
    } else {
      current = tensor.defined() ? register_tensor(name, tensor) : at::Tensor();
    }
    return;
  }
  tensors_.emplace_back(name, tensor.defined() ? register_tensor(name, tensor) : tensor);
}

std::string OpModule::kind() const {
  if (op_ != OpId::kNone) return std::string(op_def(op_).name);
  return schema_->overload_name().empty() ? schema_->name()
                                          : schema_->name() + "." + schema_->overload_name();
}

std::shared_ptr<OpModule> OpModule::plain() const {
  return std::shared_ptr<OpModule>(new OpModule(*this, class_name()));
}

std::shared_ptr<LeafModule> OpModule::clone_leaf() const { return plain(); }

at::Tensor OpModule::tensor(std::string_view name) const {
  if (name == waiting_name_) settle();
  for (const auto& [key, tensor] : tensors_) {
    if (key == name) return tensor;
  }
  return {};
}

bool OpModule::names_tensor(std::string_view name) const {
  return std::any_of(tensors_.begin(), tensors_.end(),
                     [&](const auto& entry) { return entry.first == name; });
}

bool OpModule::has_tensor(std::string_view name) const {
  return std::any_of(tensors_.begin(), tensors_.end(), [&](const auto& entry) {
    return entry.first == name && entry.second.defined();
  });
}

std::vector<int64_t> OpModule::tensor_sizes(std::string_view name) const {
  const auto waiting = name == waiting_name_ ? waiting_weight() : nullptr;
  return waiting ? waiting->sizes().vec() : tensor(name).sizes().vec();
}

const Argument* OpModule::attribute(std::string_view name) const {
  for (const auto& [key, value] : attributes_) {
    if (key == name) return &value;
  }
  return nullptr;
}

void OpModule::set_attribute(std::string_view name, Argument value) {
  for (auto& [key, current] : attributes_) {
    if (key == name) {
      current = std::move(value);
      return;
    }
  }
  attributes_.emplace_back(std::string(name), std::move(value));
}

void OpModule::remove_attribute(std::string_view name) {
  attributes_.erase(std::remove_if(attributes_.begin(), attributes_.end(),
                                   [&](const auto& entry) { return entry.first == name; }),
                    attributes_.end());
}

bool OpModule::follows_mode() const {
  for (const c10::Argument& argument : schema_->arguments()) {
    if (is_mode_argument(argument.name())) return attribute(argument.name()) == nullptr;
  }
  return false;
}

absl::StatusOr<std::vector<OpModule::Source>> OpModule::sources(size_t inputs) const {
  std::vector<Source> sources;
  size_t taken = 0;
  for (const c10::Argument& argument : schema_->arguments()) {
    const std::string& name = argument.name();
    if (names_tensor(name)) {
      sources.push_back(Source::kTensor);
    } else if (attribute(name)) {
      sources.push_back(Source::kAttribute);
    } else if (is_mode_argument(name)) {
      sources.push_back(Source::kMode);
    } else if (taken < inputs) {
      sources.push_back(Source::kInput);
      ++taken;
    } else if (argument.default_value()) {
      sources.push_back(Source::kDefault);
    } else {
      return absl::InvalidArgumentError(
          fmt::format("{} needs an argument '{}' and got {} inputs", kind(), name, inputs));
    }
  }
  if (taken < inputs) {
    return absl::InvalidArgumentError(
        fmt::format("{} takes {} inputs and got {}", kind(), taken, inputs));
  }
  return sources;
}

absl::StatusOr<std::vector<c10::IValue>> OpModule::bind(std::vector<c10::IValue> inputs) const {
  FXQ_ASSIGN_OR_RETURN(const std::vector<Source> from, sources(inputs.size()));
  std::vector<c10::IValue> stack;
  auto next_input = inputs.begin();
  for (size_t i = 0; i < from.size(); ++i) {
    const c10::Argument& argument = schema_->arguments()[i];
    switch (from[i]) {
      case Source::kTensor: {
        const at::Tensor value = tensor(argument.name());
        stack.push_back(value.defined() ? c10::IValue(value) : c10::IValue());
        break;
      }
      case Source::kAttribute:
        stack.push_back(to_ivalue_as(*attribute(argument.name()), argument.type()));
        break;
      case Source::kMode:
        stack.emplace_back(is_training());
        break;
      case Source::kInput:
        stack.push_back(std::move(*next_input++));
        break;
      case Source::kDefault:
        stack.push_back(*argument.default_value());
        break;
    }
  }
  return stack;
}

c10::IValue OpModule::call(const std::string& method, std::vector<c10::IValue> inputs) {
  TORCH_CHECK(method == "forward", kind(), " has no method '", method, "'");
  auto stack = bind(std::move(inputs));
  TORCH_CHECK(stack.ok(), std::string(stack.status().message()));
  const at::Tensor counter = tensor(kBatchCounter);
  if (is_training() && counter.defined()) counter.add_(1);
  auto result = call_schema(*schema_, *std::move(stack));
  TORCH_CHECK(result.ok(), std::string(result.status().message()));
  return *std::move(result);
}

}  // namespace fxq
