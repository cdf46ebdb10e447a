// "a.b.w"  ->  root.a.b.w; in a graph: GetAttr[w](GetAttr[b](GetAttr[a](%self))).
#include "fxq/graph/script_module_tree.h"

#include <ATen/core/Tensor.h>
#include <torch/csrc/jit/ir/ir.h>

#include <vector>

#include "absl/strings/str_split.h"

namespace fxq {

namespace jit = torch::jit;

ScriptModuleTree::ScriptModuleTree(bool training)
    : unit_(std::make_shared<jit::CompilationUnit>()),
      training_(training),
      root_(make_module("GraphModule")) {}

jit::Module ScriptModuleTree::make_module(const std::string& class_name) const {
  jit::Module module(c10::QualifiedName("__torch__.fxq." + class_name), unit_,
                     /*shouldMangle=*/true);
  module.register_attribute("training", c10::BoolType::get(), training_);
  return module;
}

jit::Module ScriptModuleTree::parent_of(const std::string& path, std::string* name) {
  std::vector<std::string> parts = absl::StrSplit(path, '.');
  *name = parts.back();
  parts.pop_back();
  jit::Module module = root_;
  for (const std::string& part : parts) {
    if (!module.hasattr(part)) module.register_module(part, make_module("Module"));
    module = module.attr(part).toModule();
  }
  return module;
}

void ScriptModuleTree::add_tensor(const std::string& path, const at::Tensor& tensor,
                                  bool is_parameter) {
  std::string name;
  jit::Module parent = parent_of(path, &name);
  if (parent.hasattr(name)) return;
  if (is_parameter) {
    parent.register_parameter(name, tensor, /*is_buffer=*/false);
  } else {
    parent.register_buffer(name, tensor);
  }
}

void ScriptModuleTree::add_module(const std::string& path, const jit::Module& module) {
  std::string name;
  jit::Module parent = parent_of(path, &name);
  if (!parent.hasattr(name)) parent.register_module(name, module);
}

jit::Value* ScriptModuleTree::read(jit::Graph& graph, const std::string& path) const {
  jit::Value* value = graph.inputs()[0];
  jit::Module module = root_;
  const std::vector<std::string> parts = absl::StrSplit(path, '.');
  for (const std::string& part : parts) {
    value = graph.insertGetAttr(value, part);
    if (module.attr(part).isModule()) module = module.attr(part).toModule();
  }
  return value;
}

void ScriptModuleTree::set_forward(const std::shared_ptr<jit::Graph>& graph) {
  jit::Function* function =
      unit_->create_function(c10::QualifiedName(*root_.type()->name(), "forward"), graph);
  root_.type()->addMethod(function);
}

}  // namespace fxq
