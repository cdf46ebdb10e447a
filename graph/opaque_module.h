// OpaqueModule: a TorchScript leaf: a module of several ops kept whole (LSTM, a wrapped class), or
// a data-dependent If/Loop with the values it captures as inputs. LibTorch's own interpreter runs
// it; autograd runs through it; it counts as CPU. Its parameters are registered, train() and to()
// reach it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fxq/graph/leaf_module.h"

namespace torch::jit {
struct Graph;
struct Module;
}  // namespace torch::jit

namespace fxq {

class OpaqueModule : public LeafModule {
 public:
  // A whole module.
  explicit OpaqueModule(const torch::jit::Module& module);
  // A block: `graph` has one output; it is compiled once. `source` is its file:line.
  OpaqueModule(std::shared_ptr<torch::jit::Graph> graph, std::string source);
  // As it was saved: class name and source are of the module or block that it once was.
  OpaqueModule(const torch::jit::Module& module, std::string class_name, std::string source);
  ~OpaqueModule() override;

  c10::IValue call(const std::string& method, std::vector<c10::IValue> inputs) override;
  std::string kind() const override { return "opaque"; }
  NamedTensors tensors() const override;
  NamedAttributes attributes() const override;
  std::shared_ptr<LeafModule> clone_leaf() const override;
  void set_tensor(const std::string& name, at::Tensor tensor) override;
  void train(bool on = true) override;

  // Its code sets attributes of its own: what one call leaves, the next one finds.
  bool keeps_state() const;
  // Its code as one TorchScript module, for embedding in artifacts.
  const torch::jit::Module& script_module() const;

 private:
  void register_tensors();
  void own();  // before the first write: a module object of its own, with the same tensors
  void own_state();

  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fxq
