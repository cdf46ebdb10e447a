// ScriptModuleTree: torch::jit modules made from dotted paths: "layer1.0.weight" is the tensor
// weight of the module 0 of the module layer1. Owns the modules; shares the tensors.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <memory>
#include <string>

namespace fxq {

class ScriptModuleTree {
 public:
  explicit ScriptModuleTree(bool training);

  const torch::jit::Module& root() const { return root_; }
  // A tensor that is there already stays.
  void add_tensor(const std::string& path, const at::Tensor& tensor, bool is_parameter);
  void add_module(const std::string& path, const torch::jit::Module& module);
  // The value of the path in a graph whose input 0 is the root; reads are inserted at its end.
  torch::jit::Value* read(torch::jit::Graph& graph, const std::string& path) const;
  // Gives the root its forward.
  void set_forward(const std::shared_ptr<torch::jit::Graph>& graph);

 private:
  torch::jit::Module make_module(const std::string& class_name) const;
  torch::jit::Module parent_of(const std::string& path, std::string* name);

  std::shared_ptr<torch::jit::CompilationUnit> unit_;
  bool training_;
  torch::jit::Module root_;
};

}  // namespace fxq
