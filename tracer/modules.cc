// %conv = prim::GetAttr[name="conv"](%self)   ->  the module at path "conv"
// %w = prim::GetAttr[name="weight"](%conv)    ->  get_attr "conv.weight", once
// prim::CallMethod, prim::CallFunction        ->  a leaf, or the code read in place
#include <ATen/ops/scalar_tensor.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/csrc/jit/api/function_impl.h>

#include "fxq/tracer/script_reader.h"

namespace fxq {
namespace {

std::string joined(const std::string& path, const std::string& name) {
  return path.empty() ? name : path + "." + name;
}

// Where and what a tensor is, as text: two with the same are one tensor.
std::string memory_of(const at::Tensor& tensor) {
  return fmt::format("{} {} [{}] [{}]", tensor.data_ptr(), c10::toString(tensor.scalar_type()),
                     fmt::join(tensor.sizes(), ","), fmt::join(tensor.strides(), ","));
}

// True if the flag only guards what has no part in the result:
//   if not self.warned: warn(...); self.warned = True
bool only_guards_warnings(const torch::jit::Value* flag, const std::string& name) {
  for (const torch::jit::Use& use : flag->uses()) {
    const torch::jit::Node* user = use.user;
    if (user->kind() == torch::jit::aten::__not__) {
      if (!only_guards_warnings(user->output(), name)) return false;
      continue;
    }
    if (user->kind() != torch::jit::prim::If || !user->outputs().empty()) return false;
    for (const torch::jit::Block* block : user->blocks()) {
      for (const torch::jit::Node* node : block->nodes()) {
        const bool sets_flag =
            node->kind() == torch::jit::prim::SetAttr && node->s(torch::jit::attr::name) == name;
        const bool harmless = node->kind() == torch::jit::prim::Constant ||
                              node->kind() == torch::jit::aten::warn ||
                              node->kind() == torch::jit::prim::Print;
        if (!sets_flag && !harmless) return false;
      }
    }
  }
  return true;
}

bool is_number(const c10::IValue& value) {
  return value.isInt() || value.isDouble() || value.isBool();
}

struct Uses {
  bool read = false;
  bool set = false;
};

void note_uses(const torch::jit::Block* block, const std::string& name, Uses& uses) {
  for (const torch::jit::Node* node : block->nodes()) {
    for (const torch::jit::Block* inner : node->blocks()) note_uses(inner, name, uses);
    const bool gets = node->kind() == torch::jit::prim::GetAttr;
    if (!gets && node->kind() != torch::jit::prim::SetAttr) continue;
    if (node->s(torch::jit::attr::name) != name) continue;
    uses.set |= !gets;
    uses.read |= gets && !only_guards_warnings(node->output(), name);
  }
}

// By the class's own methods.
Uses uses_of(const c10::ClassType& type, const std::string& name) {
  Uses uses;
  for (torch::jit::Function* method : type.methods()) {
    if (method->name().rfind("__", 0) == 0) continue;  // __setstate__ and its like
    note_uses(torch::jit::toGraphFunction(*method).graph()->block(), name, uses);
  }
  return uses;
}

bool is_state(const c10::ClassType& type, const std::string& name) {
  const Uses uses = uses_of(type, name);
  return uses.read && uses.set;
}

bool is_library(const std::string& name) { return name.rfind("torch.", 0) == 0; }

}  // namespace

std::string module_name(const c10::IValue& key) {
  return key.isInt() ? std::to_string(key.toInt()) : key.toStringRef();
}

// A leaf of a torch.nn class has no modules inside: most readers never ask.
std::string ScriptReader::module_path(const torch::jit::Module& module,
                                      const std::string& otherwise) {
  const void* object = module._ivalue().get();
  if (object == script_._ivalue().get()) return "";
  if (module_paths_.empty()) {
    for (const auto& entry : script_.named_modules()) {
      module_paths_.emplace(entry.value._ivalue().get(), entry.name);
    }
  }
  const auto path = module_paths_.find(object);
  return path == module_paths_.end() ? otherwise : path->second;
}

ValuePtr ScriptReader::module_value(const torch::jit::Module& module,
                                    const std::string& fallback_path) {
  ValuePtr& known = modules_[module._ivalue().get()];
  if (known) return known;
  known = make_constant(module._ivalue(), module.type());
  known->kind = Value::Kind::kModule;
  known->path = module_path(module, fallback_path);
  return known;
}

Owner ScriptReader::owner_of(const ValuePtr& module) const {
  const auto name = module->constant.toModule().type()->name();
  return Owner{module->path, name ? python_name(name->qualifiedName()) : ""};
}

ValuePtr ScriptReader::run_method(const ValuePtr& module, const std::string& method,
                                  std::vector<ValuePtr> args) {
  torch::jit::Module object = module->constant.toModule();
  torch::jit::Function& function = object.get_method(method).function();
  const Owner owner = owner_of(module);
  args.insert(args.begin(), module);
  return run_graph(*torch::jit::toGraphFunction(function).graph(), args, owner,
                   is_library(owner.class_name));
}

void ScriptReader::note_tensors() {
  const auto note = [this](const std::string& path, const at::Tensor& tensor) {
    if (tensor.defined() && tensor.numel() > 0) tensor_paths_.emplace(memory_of(tensor), path);
  };
  for (const auto& entry : script_.named_parameters()) note(entry.name, entry.value);
  for (const auto& entry : script_.named_buffers()) note(entry.name, entry.value);
}

std::string ScriptReader::tensor_path(const at::Tensor& tensor, const std::string& otherwise) {
  if (tensor_paths_.empty()) note_tensors();
  const bool known = tensor.defined() && tensor.numel() > 0;
  const auto found = known ? tensor_paths_.find(memory_of(tensor)) : tensor_paths_.end();
  return found == tensor_paths_.end() ? otherwise : found->second;
}

// Tensors are known by path; those in lists (an LSTM's flat weights) by the parameter's own.
ValuePtr ScriptReader::attribute_value(const c10::IValue& value, const c10::TypePtr& type,
                                       const std::string& path) {
  if (value.isModule()) return module_value(value.toModule(), path);
  if (value.isTensor()) {
    if (!value.toTensor().defined()) return make_constant(c10::IValue(), type);
    return emitter_.attribute(path, value.toTensor());
  }
  if (value.isObject() && !value.toObject()->type()->is_module()) {
    ValuePtr object = make_items(Value::Kind::kObject, {}, value.type());
    const auto& class_type = value.toObject()->type();
    for (size_t i = 0; i < class_type->numAttributes(); ++i) {
      const std::string& name = class_type->getAttributeName(i);
      object->fields[name] = attribute_value(value.toObject()->getSlot(i),
                                             class_type->getAttribute(i), joined(path, name));
    }
    return object;
  }
  ValuePtr known = from_ivalue(value, type);
  known->is_state = value.isList() || value.isGenericDict();
  if (value.isList()) {
    for (size_t i = 0; i < known->items.size(); ++i) {
      const c10::IValue& item = value.toListRef()[i];
      std::string item_path = joined(path, std::to_string(i));
      if (item.isTensor()) item_path = tensor_path(item.toTensor(), item_path);
      known->items[i] = attribute_value(item, item.type(), item_path);
    }
  }
  return known;
}

// A number that one call leaves for the next: in a buffer, read anew by each call.
ValuePtr ScriptReader::number_value(const ValuePtr& object, const std::string& name,
                                    const c10::IValue& value) {
  const at::Tensor tensor = at::scalar_tensor(value.toScalar(), value.isDouble() ? at::kDouble
                                                                : value.isBool() ? at::kBool
                                                                                 : at::kLong);
  const ValuePtr buffer = emitter_.attribute(joined(object->path, name), tensor);
  state_buffers_[key_of(object, name)] = buffer;
  const char* read = value.isDouble() ? "aten::Float.Tensor"
                     : value.isBool() ? "aten::Bool.Tensor"
                                      : "aten::Int.Tensor";
  ValuePtr number = emitter_.call(read, {buffer});
  number->from_data = true;
  return number;
}

ValuePtr ScriptReader::attribute(const ValuePtr& object, const std::string& name) {
  if (object->is(Value::Kind::kObject)) {
    const auto field = object->fields.find(name);
    TORCH_CHECK(field != object->fields.end(), "an object has no attribute ", name, " yet");
    return field->second;
  }
  ValuePtr& known = attributes_[key_of(object, name)];
  if (known) return known;
  const torch::jit::Module module = object->constant.toModule();
  const c10::IValue value = module.attr(name);
  const c10::TypePtr type = module.type()->getAttribute(name);
  const std::string path = joined(object->path, name);
  attribute_paths_[key_of(object, name)] = path;
  if (name == "training" && value.isBool()) {
    known = make_constant(options_.training, c10::BoolType::get());
    known->is_mode = true;
  } else if (is_number(value) && is_state(*module.type(), name)) {
    known = number_value(object, name, value);
  } else if (options_.state.count(path) != 0) {
    known = slot_value(path, type, value);
  } else if (type->kind() == c10::TypeKind::TensorType && uses_of(*module.type(), name).set) {
    known = state_tensor(path, value.toTensor());
  } else {
    known = attribute_value(value, type, path);
  }
  return known;
}

// For code whose results may depend on it.
ValuePtr ScriptReader::read_attribute(const ValuePtr& object, const std::string& name) {
  if (object->is(Value::Kind::kModule)) read_attributes_.insert(key_of(object, name));
  return attribute(object, name);
}

void ScriptReader::get_attribute(const JitNode* node) {
  const ValuePtr& object = get(node->input());
  const std::string& name = node->s(torch::jit::attr::name);
  if (!object->is(Value::Kind::kModule) && !object->is(Value::Kind::kObject)) {
    return problem(node,
                   fmt::format("attribute {} of an object that is not known while tracing", name));
  }
  const bool matters = !only_guards_warnings(node->output(), name);
  bind(node->output(), matters ? read_attribute(object, name) : attribute(object, name));
}

// self.layers[i], self.heads[key]: modules behind an interface.
void ScriptReader::choose_module(const JitNode* node) {
  const ValuePtr container = get(node->inputs()[0]);
  const ValuePtr key = get(node->inputs()[1]);
  const auto known = decide(node, key);
  if (!known || !container->is(Value::Kind::kModule)) {
    return problem(node, fmt::format("which module of '{}' is called depends on an argument: give "
                                     "example inputs, which decide it, or fix the argument",
                                     container->path));
  }
  bind(node->output(), read_attribute(container, module_name(*known)));
}

// What forward stores in an attribute: later code reads it, the next call too (state.cc). A number
// that it also reads is kept in a buffer of its own.
void ScriptReader::set_attribute(const JitNode* node) {
  set_attribute(get(node->inputs()[0]), node->s(torch::jit::attr::name), get(node->inputs()[1]));
}

void ScriptReader::set_attribute(const ValuePtr& object, const std::string& name,
                                 const ValuePtr& value) {
  if (object->is(Value::Kind::kObject)) {
    object->fields[name] = value;
    return;
  }
  store(object, name, value);
}

void ScriptReader::call_method(const JitNode* node) {
  const ValuePtr object = get(node->inputs()[0]);
  std::vector<ValuePtr> args = inputs(node);
  args.erase(args.begin());
  const std::string& method = node->s(torch::jit::attr::name);
  if (object->is(Value::Kind::kObject)) {
    torch::jit::Function& function = object->type->expectRef<c10::ClassType>().getMethod(method);
    args.insert(args.begin(), object);
    return bind(node->output(), run_graph(*torch::jit::toGraphFunction(function).graph(), args,
                                          frame().site.owner, false));
  }
  if (!object->is(Value::Kind::kModule)) {
    return problem(node,
                   fmt::format("method {} of an object that is not known while tracing", method));
  }
  if (is_leaf(object, method)) {
    return bind(node->output(), call_leaf(object, method, args, node));
  }
  bind(node->output(), run_method(object, method, std::move(args)));
}

void ScriptReader::call_function(const JitNode* node) {
  const auto type = node->inputs()[0]->type()->expect<c10::FunctionType>();
  torch::jit::Function& function = *type->function();
  const std::string name = python_name(function.qualname().qualifiedName());
  std::vector<ValuePtr> args = inputs(node);
  args.erase(args.begin());
  const auto graph = torch::jit::toGraphFunction(function).graph();
  if (options_.wraps->has(name)) {
    return bind(node->output(), call_opaque_graph(graph->copy(), args, function.name(), node));
  }
  bind(node->output(), run_graph(*graph, args, frame().site.owner, is_library(name)));
}

// torch.jit.fork: the same values, computed in order.
void ScriptReader::fork(const JitNode* node) {
  bind(node->output(),
       run_graph(*node->g(torch::jit::attr::Subgraph), inputs(node), frame().site.owner, false));
}

}  // namespace fxq
