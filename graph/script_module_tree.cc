// "a.b.w"  ->  root.a.b.w; in a graph: GetAttr[w](GetAttr[b](GetAttr[a](%self))).
#include "fxq/graph/script_module_tree.h"

#include <ATen/core/Tensor.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>

#include <vector>

#include "absl/strings/str_split.h"

namespace fxq {

namespace jit = torch::jit;

namespace {

jit::Module make_module(const std::string& class_name,
                        const std::shared_ptr<jit::CompilationUnit>& unit, bool training) {
  jit::Module module(c10::QualifiedName("__torch__.fxq." + class_name), unit,
                     /*shouldMangle=*/true);
  module.register_attribute("training", c10::BoolType::get(), training);
  return module;
}

}  // namespace

struct ScriptModuleTree::State {
  explicit State(bool training)
      : training(training), root(make_module("GraphModule", unit, training)) {}

  // The module that holds the last word of the path.
  jit::Module parent_of(const std::string& path, std::string* name) const {
    std::vector<std::string> parts = absl::StrSplit(path, '.');
    *name = parts.back();
    parts.pop_back();
    jit::Module module = root;
    for (const std::string& part : parts) {
      if (!module.hasattr(part)) {
        module.register_module(part, make_module("Module", unit, training));
      }
      module = module.attr(part).toModule();
    }
    return module;
  }

  std::shared_ptr<jit::CompilationUnit> unit = std::make_shared<jit::CompilationUnit>();
  bool training;
  jit::Module root;
};

ScriptModuleTree::ScriptModuleTree(bool training) : state_(new State(training)) {}
ScriptModuleTree::~ScriptModuleTree() = default;

const jit::Module& ScriptModuleTree::root() const { return state_->root; }

void ScriptModuleTree::add_tensor(const std::string& path, const at::Tensor& tensor,
                                  bool is_parameter) {
  std::string name;
  jit::Module parent = state_->parent_of(path, &name);
  if (parent.hasattr(name)) return;
  if (is_parameter) {
    parent.register_parameter(name, tensor, /*is_buffer=*/false);
  } else {
    parent.register_buffer(name, tensor.detach());  // what one side assigns, the other keeps
  }
}

void ScriptModuleTree::add_module(const std::string& path, const jit::Module& module) {
  std::string name;
  jit::Module parent = state_->parent_of(path, &name);
  if (!parent.hasattr(name)) parent.register_module(name, module);
}

jit::Value* ScriptModuleTree::read(jit::Graph& graph, const std::string& path) const {
  jit::Value* value = graph.inputs()[0];
  jit::Module module = state_->root;
  const std::vector<std::string> parts = absl::StrSplit(path, '.');
  for (const std::string& part : parts) {
    value = graph.insertGetAttr(value, part);
    if (module.attr(part).isModule()) module = module.attr(part).toModule();
  }
  return value;
}

void ScriptModuleTree::write(jit::Graph& graph, const std::string& path, jit::Value* value) const {
  const size_t dot = path.rfind('.');
  jit::Value* owner =
      dot == std::string::npos ? graph.inputs()[0] : read(graph, path.substr(0, dot));
  jit::Node* set = graph.create(jit::prim::SetAttr, {owner, value}, 0);
  set->s_(jit::attr::name, dot == std::string::npos ? path : path.substr(dot + 1));
  graph.insertNode(set);
}

void ScriptModuleTree::set_forward(const std::shared_ptr<jit::Graph>& graph) {
  jit::Function* function = state_->unit->create_function(
      c10::QualifiedName(*state_->root.type()->name(), "forward"), graph);
  state_->root.type()->addMethod(function);
}

}  // namespace fxq
