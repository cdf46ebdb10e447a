// OpModule: a float leaf that is one op: a schema, attributes, and tensors. It runs the op with its
// own tensors and its own training flag, so Conv2d or BatchNorm2d need no class of their own.
// The activations are the arguments of its node; tensors and attributes fill the rest of the
// schema.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fxq/graph/leaf_module.h"

namespace fxq {

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
  NamedTensors tensors() const override { return tensors_; }
  NamedAttributes attributes() const override { return attributes_; }
  Callee callee() const override { return {op_, schema_}; }
  std::shared_ptr<LeafModule> clone_leaf() const override;
  void set_tensor(const std::string& name, at::Tensor tensor) override;

  OpId op() const { return op_; }
  at::Tensor tensor(std::string_view name) const;          // undefined if absent or none
  const Argument* attribute(std::string_view name) const;  // nullptr if absent
  void set_attribute(std::string_view name, Argument value);
  void remove_attribute(std::string_view name);  // nothing, if it has none
  // Where an argument of the schema comes from.
  enum class Source : uint8_t { kTensor, kAttribute, kMode, kInput, kDefault };
  // One per argument, in schema order, for a call with that many inputs; InvalidArgument if they
  // are too few or too many.
  absl::StatusOr<std::vector<Source>> sources(size_t inputs) const;
  // True: `training`/`train` arguments follow is_training(); false: the attribute's fixed value.
  bool follows_mode() const;

 protected:
  // Inputs, tensors and attributes in schema order: what call() passes to the op.
  absl::StatusOr<std::vector<c10::IValue>> bind(std::vector<c10::IValue> inputs) const;

 private:
  at::Tensor register_tensor(const std::string& name, const at::Tensor& tensor);
  bool is_parameter(const std::string& name, const at::Tensor& tensor) const;

  OpId op_;
  const c10::FunctionSchema* schema_;
  NamedTensors tensors_;
  NamedAttributes attributes_;
};

}  // namespace fxq
