// A block  y = f(captured...)  becomes a module whose forward is f, so that modules and blocks are
// run, saved and moved in one way.
#include "fxq/graph/opaque_module.h"

#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>

#include <algorithm>

#include "fxq/base/check.h"
#include "fxq/graph/ivalue_convert.h"

namespace fxq {
namespace {

std::string class_name_of(const torch::jit::Module& module) {
  return module.type()->name() ? module.type()->name()->qualifiedName() : "module";
}

torch::jit::Module module_of_block(const std::shared_ptr<torch::jit::Graph>& graph) {
  torch::jit::Module module(c10::QualifiedName("__torch__.fxq.Block"),
                            std::make_shared<torch::jit::CompilationUnit>(),
                            /*shouldMangle=*/true);
  std::shared_ptr<torch::jit::Graph> body = graph->copy();
  body->insertInput(0, "self")->setType(module.type());
  auto unit = module._ivalue()->compilation_unit();
  torch::jit::Function* function =
      unit->create_function(c10::QualifiedName(*module.type()->name(), "forward"), body);
  module.type()->addMethod(function);
  return module;
}

bool sets_attributes(const torch::jit::Block* block) {
  for (const torch::jit::Node* node : block->nodes()) {
    if (node->kind() == torch::jit::prim::SetAttr) return true;
    for (const torch::jit::Block* inner : node->blocks()) {
      if (sets_attributes(inner)) return true;
    }
  }
  return false;
}

bool sets_attributes(const c10::ClassType& type) {
  const auto& methods = type.methods();
  return std::any_of(methods.begin(), methods.end(), [](torch::jit::Function* method) {
    const bool own = method->name().rfind("__", 0) != 0;  // not __setstate__ and its like
    return own && sets_attributes(torch::jit::toGraphFunction(*method).graph()->block());
  });
}

// "a.b.weight" -> the submodule a.b and "weight".
std::pair<torch::jit::Module, std::string> resolve(torch::jit::Module module,
                                                   const std::string& path) {
  size_t start = 0;
  for (size_t dot = path.find('.'); dot != std::string::npos; dot = path.find('.', start)) {
    module = module.attr(path.substr(start, dot - start)).toModule();
    start = dot + 1;
  }
  return {module, path.substr(start)};
}

}  // namespace

struct OpaqueModule::State {
  torch::jit::Module module;
  std::string source;
  bool owned = false;
};

OpaqueModule::OpaqueModule(const torch::jit::Module& module)
    : LeafModule(class_name_of(module)), state_(new State{module, "", false}) {
  own_state();
  register_tensors();
}

OpaqueModule::OpaqueModule(std::shared_ptr<torch::jit::Graph> graph, std::string source)
    : LeafModule("fxq.Block"), state_(new State{module_of_block(graph), std::move(source), true}) {
  FXQ_CHECK(graph->outputs().size() == 1, "an opaque block has one output; pack a tuple");
}

OpaqueModule::OpaqueModule(const torch::jit::Module& module, std::string class_name,
                           std::string source)
    : LeafModule(std::move(class_name)), state_(new State{module, std::move(source), false}) {
  own_state();
  register_tensors();
}

OpaqueModule::~OpaqueModule() = default;

// torch::nn::Module allows no dots in names.
void OpaqueModule::register_tensors() {
  auto flat = [](std::string name) {
    std::replace(name.begin(), name.end(), '.', '/');
    return name;
  };
  for (const auto& entry : state_->module.named_parameters()) {
    register_parameter(flat(entry.name), entry.value, entry.value.requires_grad());
  }
  for (const auto& entry : state_->module.named_buffers()) {
    register_buffer(flat(entry.name), entry.value);
  }
}

c10::IValue OpaqueModule::call(const std::string& method, std::vector<c10::IValue> inputs) {
  const torch::jit::Method function = state_->module.get_method(method);
  const auto& formals = function.function().getSchema().arguments();  // the first is self
  for (size_t i = 0; i < inputs.size() && i + 1 < formals.size(); ++i) {
    inputs[i] = as_static_type(inputs[i], formals[i + 1].type());
  }
  return function(std::move(inputs));
}

NamedTensors OpaqueModule::tensors() const {
  NamedTensors tensors;
  for (const auto& entry : state_->module.named_parameters()) {
    tensors.emplace_back(entry.name, entry.value);
  }
  for (const auto& entry : state_->module.named_buffers()) {
    tensors.emplace_back(entry.name, entry.value);
  }
  return tensors;
}

NamedAttributes OpaqueModule::attributes() const {
  if (state_->source.empty()) return {};
  return {{"source", Argument(state_->source)}};
}

std::shared_ptr<LeafModule> OpaqueModule::clone_leaf() const {
  auto copy = std::make_shared<OpaqueModule>(state_->module, class_name(), state_->source);
  copy->torch::nn::Module::train(is_training());
  return copy;
}

bool OpaqueModule::keeps_state() const {
  for (const torch::jit::Module& module : state_->module.modules()) {
    if (sets_attributes(*module.type())) return true;
  }
  return false;
}

// Two modules that share a state would disturb each other; so would a module and the caller's.
void OpaqueModule::own_state() {
  if (keeps_state()) own();
}

void OpaqueModule::own() {
  if (state_->owned) return;
  torch::jit::Module copy = state_->module.deepcopy();
  for (const auto& [name, tensor] : tensors()) {
    auto [owner, attribute] = resolve(copy, name);
    owner.setattr(attribute, tensor);
  }
  state_->module = copy;
  state_->owned = true;
}

void OpaqueModule::set_tensor(const std::string& name, at::Tensor tensor) {
  own();
  auto [owner, attribute] = resolve(state_->module, name);
  FXQ_CHECK(owner.hasattr(attribute), name + " is no tensor of " + class_name());
  owner.setattr(attribute, std::move(tensor));
}

void OpaqueModule::train(bool on) {
  torch::nn::Module::train(on);
  if (state_->module.hasattr("training") && state_->module.is_training() != on) {
    own();
    state_->module.train(on);
  }
}

const torch::jit::Module& OpaqueModule::script_module() const { return state_->module; }

}  // namespace fxq
