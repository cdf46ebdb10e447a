// LeafModule: what a call_module node calls: a torch::nn::Module with parameters, buffers,
// train/eval and to(device), that can also name, describe and clone itself. Shared by the
// GraphModules that hold it; a pass never writes into its tensors, it replaces them. One of the few
// headers that must see LibTorch: it declares a torch::nn::Module.
#pragma once

#include <ATen/core/ivalue.h>
#include <torch/nn/module.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/graph/argument.h"
#include "fxq/graph/node.h"

namespace fxq {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;  // undefined: "none"
using NamedAttributes = std::vector<std::pair<std::string, Argument>>;

class LeafModule : public torch::nn::Module {
 public:
  explicit LeafModule(std::string class_name) : class_name_(std::move(class_name)) {}

  // Runs the module. `method` is "forward" but for wrapped methods. May throw c10::Error: callers
  // inside fxq go through the interpreter, which turns that into a Status.
  virtual c10::IValue call(const std::string& method, std::vector<c10::IValue> inputs) = 0;

  // Text form: `module @path = kind(tensors..., attributes...)`. A factory of that kind rebuilds
  // it.
  virtual std::string kind() const = 0;      // "conv2d", "fake_quantize", "opaque"
  virtual NamedTensors tensors() const = 0;  // parameters and buffers, in a fixed order
  // Those whose values are known by now: all, or all but a weight that waits to be multiplied out.
  virtual NamedTensors known_tensors() const { return tensors(); }
  virtual NamedAttributes attributes() const = 0;  // everything else that defines it
  virtual Callee callee() const { return {}; }     // op and schema, if it is one op

  // A new module object; its tensors are shared with this one.
  virtual std::shared_ptr<LeafModule> clone_leaf() const = 0;
  // Replaces a tensor by name. Unknown names are a broken invariant.
  virtual void set_tensor(const std::string& name, at::Tensor tensor) = 0;

  // The class it came from: "torch.nn.modules.conv.Conv2d".
  const std::string& class_name() const { return class_name_; }

 private:
  std::string class_name_;
};

}  // namespace fxq
