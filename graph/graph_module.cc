// Every path is a key of one store; tensors of leaf modules are found through their owner.
#include "fxq/graph/graph_module.h"

#include <ATen/core/Tensor.h>

#include <set>

#include "fxq/base/check.h"
#include "fxq/graph/interpreter.h"
#include "fxq/graph/op_module.h"

namespace fxq {

struct GraphModule::Store {
  std::map<std::string, std::shared_ptr<LeafModule>, std::less<>> modules;
  std::map<std::string, at::Tensor, std::less<>> tensors;
};

namespace {

bool is_parameter(const at::Tensor& tensor) {
  return tensor.defined() && tensor.is_leaf() && tensor.requires_grad();
}

// Tensors that share storage map to one copy, so that tied tensors stay tied.
class TensorCloner {
 public:
  explicit TensorCloner(GraphModule::Copy what) : what_(what) {}

  at::Tensor operator()(const at::Tensor& tensor) {
    const bool clone =
        tensor.defined() && (what_ == GraphModule::Copy::kCloneAll ||
                             (what_ == GraphModule::Copy::kCloneBuffers && !is_parameter(tensor)));
    if (!clone) return tensor;
    const void* key = tensor.unsafeGetTensorImpl();
    const void* data = tensor.numel() == 0 ? key : tensor.data_ptr();
    at::Tensor& copy = copies_[{data, tensor.sizes().vec()}];
    if (!copy.defined()) {
      copy = tensor.detach().clone().set_requires_grad(tensor.requires_grad());
    }
    return copy;
  }

 private:
  GraphModule::Copy what_;
  std::map<std::pair<const void*, std::vector<int64_t>>, at::Tensor> copies_;
};

}  // namespace

GraphModule::GraphModule() : store_(new Store), graph_(new Graph) {}
GraphModule::~GraphModule() = default;
GraphModule::GraphModule(GraphModule&&) noexcept = default;
GraphModule& GraphModule::operator=(GraphModule&&) noexcept = default;

std::shared_ptr<LeafModule> GraphModule::module(std::string_view path) const {
  auto it = store_->modules.find(path);
  return it == store_->modules.end() ? nullptr : it->second;
}

OpModule* GraphModule::op_module(const Node& node) const {
  if (!node.is(NodeKind::kCallModule)) return nullptr;
  auto it = store_->modules.find(node.target());
  return it == store_->modules.end() ? nullptr : dynamic_cast<OpModule*>(it->second.get());
}

std::vector<std::string> GraphModule::module_paths() const {
  std::vector<std::string> paths;
  for (const auto& [path, module] : store_->modules) paths.push_back(path);
  return paths;
}

void GraphModule::set_module(std::string_view path, std::shared_ptr<LeafModule> module) {
  FXQ_CHECK(module != nullptr, std::string(path));
  store_->modules[std::string(path)] = std::move(module);
}

at::Tensor GraphModule::tensor(std::string_view path) const {
  auto it = store_->tensors.find(path);
  return it == store_->tensors.end() ? at::Tensor() : it->second;
}

std::vector<std::string> GraphModule::tensor_paths() const {
  std::vector<std::string> paths;
  for (const auto& [path, tensor] : store_->tensors) paths.push_back(path);
  return paths;
}

void GraphModule::set_tensor(std::string_view path, at::Tensor tensor) {
  store_->tensors[std::string(path)] = std::move(tensor);
}

int GraphModule::remove_unused() {
  std::set<std::string, std::less<>> modules;
  std::set<std::string, std::less<>> tensors;
  for (const Node* node : graph_->nodes()) {
    if (node->is(NodeKind::kCallModule)) modules.insert(node->target());
    if (node->is(NodeKind::kGetAttr)) tensors.insert(node->target());
  }
  int removed = 0;
  auto sweep = [&](auto& map, const auto& used) {
    for (auto it = map.begin(); it != map.end();) {
      const bool keep = used.count(it->first) != 0;
      removed += keep ? 0 : 1;
      it = keep ? std::next(it) : map.erase(it);
    }
  };
  sweep(store_->modules, modules);
  sweep(store_->tensors, tensors);
  return removed;
}

std::string GraphModule::unique_path(std::string_view path) const {
  auto taken = [&](const std::string& candidate) {
    return store_->modules.count(candidate) != 0 || store_->tensors.count(candidate) != 0;
  };
  std::string candidate(path);
  for (int i = 1; taken(candidate); ++i) candidate = std::string(path) + "_" + std::to_string(i);
  return candidate;
}

Node* GraphModule::call_module(std::string_view path, std::vector<Argument> args, Kwargs kwargs,
                               std::string_view name_hint) {
  const std::shared_ptr<LeafModule> callee = module(path);
  FXQ_CHECK(callee != nullptr, "no module at " + std::string(path));
  Node* node =
      graph_->call_module(path, callee->callee(), std::move(args), std::move(kwargs), name_hint);
  node->owner = {std::string(path), callee->class_name()};
  return node;
}

std::vector<std::pair<std::string, at::Tensor>> GraphModule::named_parameters() const {
  std::vector<std::pair<std::string, at::Tensor>> result;
  for (const auto& [path, tensor] : store_->tensors) {
    if (is_parameter(tensor)) result.emplace_back(path, tensor);
  }
  for (const auto& [path, module] : store_->modules) {
    for (const auto& [name, tensor] : module->tensors()) {
      if (is_parameter(tensor)) result.emplace_back(path + "." + name, tensor);
    }
  }
  return result;
}

std::vector<std::pair<std::string, at::Tensor>> GraphModule::named_buffers() const {
  std::vector<std::pair<std::string, at::Tensor>> result;
  auto add = [&](const std::string& path, const at::Tensor& tensor) {
    if (tensor.defined() && !is_parameter(tensor)) result.emplace_back(path, tensor);
  };
  for (const auto& [path, tensor] : store_->tensors) add(path, tensor);
  for (const auto& [path, module] : store_->modules) {
    for (const auto& [name, tensor] : module->tensors()) add(path + "." + name, tensor);
  }
  return result;
}

// Each tensor once, tied or not.
std::vector<at::Tensor> GraphModule::parameters() const {
  std::vector<at::Tensor> result;
  std::set<const void*> seen;
  for (const auto& [path, tensor] : named_parameters()) {
    if (seen.insert(tensor.unsafeGetTensorImpl()).second) result.push_back(tensor);
  }
  return result;
}

void GraphModule::train(bool on) {
  training_ = on;
  for (const auto& [path, module] : store_->modules) module->train(on);
}

void GraphModule::to(const std::string& device) {
  const c10::Device target(device);
  auto moved = [&](const at::Tensor& tensor) {
    if (!tensor.defined() || tensor.device() == target) return tensor;
    return tensor.detach().to(target).set_requires_grad(tensor.requires_grad());
  };
  for (auto& [path, tensor] : store_->tensors) tensor = moved(tensor);
  for (const auto& [path, module] : store_->modules) {
    for (const auto& [name, tensor] : module->tensors()) module->set_tensor(name, moved(tensor));
  }
}

absl::StatusOr<c10::IValue> GraphModule::forward(std::vector<c10::IValue> inputs) const {
  return Interpreter(*this).run(std::move(inputs));
}

GraphModule GraphModule::copy(Copy what) const {
  GraphModule result = copy_without_graph(what);
  result.graph_->copy_from(*graph_);
  return result;
}

GraphModule GraphModule::copy_without_graph(Copy what) const {
  GraphModule result;
  TensorCloner clone(what);
  for (const auto& [path, tensor] : store_->tensors) {
    // A handle of its own: what one module assigns to a buffer, the other does not see.
    const bool buffer = tensor.defined() && !is_parameter(tensor);
    result.set_tensor(path, buffer ? clone(tensor).detach() : clone(tensor));
  }
  std::map<const LeafModule*, std::shared_ptr<LeafModule>> clones;
  for (const auto& [path, module] : store_->modules) {
    std::shared_ptr<LeafModule>& leaf = clones[module.get()];
    if (!leaf) {
      leaf = module->clone_leaf();
      if (what != Copy::kShareTensors) {
        const bool all = what == Copy::kCloneAll;
        for (const auto& [name, tensor] : all ? module->tensors() : module->known_tensors()) {
          leaf->set_tensor(name, clone(tensor));
        }
      }
    }
    result.set_module(path, leaf);
  }
  result.training_ = training_;
  result.settings = settings;
  result.notes = notes;
  result.guards = guards;
  return result;
}

}  // namespace fxq
