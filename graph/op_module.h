// OpModule: a float leaf that is one op: a schema, attributes, and tensors. It runs the op with its
// own tensors and its own training flag, so Conv2d or BatchNorm2d need no class of their own.
// The activations are the arguments of its node; tensors and attributes fill the rest of the
// schema.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "fxq/graph/leaf_module.h"

namespace fxq {

class ScaledWeight;

class OpModule : public LeafModule {
 public:
  // `tensors` are schema arguments by name ("weight"; undefined: none), those that require grad or
  // are named weight/bias become parameters, others buffers; extra tensors that no argument names
  // (weight_scale of an int8 module, num_batches_tracked) are buffers too. `attributes` are the
  // remaining schema arguments by name; what is missing has its schema default.
  OpModule(std::string class_name, OpId op, NamedTensors tensors, NamedAttributes attributes);
  // For ops without a row: by schema. `op` above is then kNone.
  OpModule(std::string class_name, const c10::FunctionSchema* schema, NamedTensors tensors,
           NamedAttributes attributes);

  c10::IValue call(const std::string& method, std::vector<c10::IValue> inputs) override;
  std::string kind() const override;
  NamedTensors tensors() const override;
  NamedTensors known_tensors() const override;
  NamedAttributes attributes() const override { return attributes_; }
  Callee callee() const override { return {op_, schema_}; }
  std::shared_ptr<LeafModule> clone_leaf() const override;
  // The op alone, without what a derived class adds; shares the tensors.
  std::shared_ptr<OpModule> plain() const;
  void set_tensor(const std::string& name, at::Tensor tensor) override;

  OpId op() const { return op_; }
  at::Tensor tensor(std::string_view name) const;          // undefined if absent or none
  bool names_tensor(std::string_view name) const;          // one of its tensors, be it none
  bool has_tensor(std::string_view name) const;            // one that is not none
  const Argument* attribute(std::string_view name) const;  // nullptr if absent
  void set_attribute(std::string_view name, Argument value);
  void remove_attribute(std::string_view name);  // nothing, if it has none

  // Gives the parameter `name` the value of `weight`, which is multiplied out when tensor(name) or
  // tensors() first asks for it. Until then parameters() of the base class shows it empty.
  void set_scaled_weight(const std::string& name, std::shared_ptr<const ScaledWeight> weight);
  // The weight that still waits; null if there is none, or if somebody asked for it.
  std::shared_ptr<const ScaledWeight> waiting_weight() const;
  std::vector<int64_t> tensor_sizes(std::string_view name) const;  // of a tensor it has

  // Where an argument of the schema comes from.
  enum class Source : uint8_t { kTensor, kAttribute, kMode, kInput, kDefault };
  // One per argument, in schema order, for a call with that many inputs; InvalidArgument if they
  // are too few or too many.
  absl::StatusOr<std::vector<Source>> sources(size_t inputs) const;
  // True: `training`/`train` arguments follow is_training(); false: the attribute's fixed value.
  bool follows_mode() const;

 protected:
  // Shares `other`'s tensors, the one that waits among them.
  OpModule(const OpModule& other, std::string class_name);
  // Inputs, tensors and attributes in schema order: what call() passes to the op.
  absl::StatusOr<std::vector<c10::IValue>> bind(std::vector<c10::IValue> inputs) const;

 private:
  at::Tensor register_tensor(const std::string& name, const at::Tensor& tensor);
  bool is_parameter(const std::string& name, const at::Tensor& tensor) const;
  void settle() const;  // nothing waits any more

  OpId op_;
  const c10::FunctionSchema* schema_;
  NamedTensors tensors_;
  NamedAttributes attributes_;
  mutable std::mutex waiting_mutex_;
  mutable std::atomic<bool> waits_{false};
  mutable std::shared_ptr<const ScaledWeight> waiting_;
  std::string waiting_name_;
};

}  // namespace fxq
