// ScriptModuleTree: torch::jit modules made from dotted paths: "layer1.0.weight" is the tensor
// weight of the module 0 of the module layer1. Owns the modules; shares the tensors.
#pragma once

#include <ATen/core/TensorBody.h>

#include <memory>
#include <string>

namespace torch::jit {
struct Graph;
struct Module;
struct Value;
}  // namespace torch::jit

namespace fxq {

class ScriptModuleTree {
 public:
  explicit ScriptModuleTree(bool training);
  ~ScriptModuleTree();

  const torch::jit::Module& root() const;
  // A tensor that is there already stays.
  void add_tensor(const std::string& path, const at::Tensor& tensor, bool is_parameter);
  void add_module(const std::string& path, const torch::jit::Module& module);
  // The value of the path in a graph whose input 0 is the root; reads are inserted at its end.
  torch::jit::Value* read(torch::jit::Graph& graph, const std::string& path) const;
  // Sets it at the graph's end.
  void write(torch::jit::Graph& graph, const std::string& path, torch::jit::Value* value) const;
  // Gives the root its forward.
  void set_forward(const std::shared_ptr<torch::jit::Graph>& graph);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fxq
