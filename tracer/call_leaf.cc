// %y = conv(%x) for a torch.nn module: one call_module if the module is one op, its code in place
// if it is several, an opaque module if its code can't be captured or it is wrapped.
#include <fmt/format.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>

#include "fxq/graph/opaque_module.h"
#include "fxq/tracer/leaf.h"
#include "fxq/tracer/trace.h"

namespace fxq {
namespace {

bool starts_with(const std::string& text, const char* prefix) { return text.rfind(prefix, 0) == 0; }

// torch's, or a vendor's or user's class that is named like it.
bool is_stub(const std::string& type_name) {
  const std::string name = type_name.substr(type_name.rfind('.') + 1);  // npos + 1 is 0
  const OpId op = op_from_module_type(name);
  return op == OpId::kQuantStub || op == OpId::kDeQuantStub;
}

}  // namespace

// torch.nn's own modules and the stubs of quantization.
bool Tracer::is_leaf_module(const std::string& type_name, const std::string&) const {
  if (starts_with(type_name, "torch.nn.modules.")) {
    return !starts_with(type_name, "torch.nn.modules.container.");
  }
  return is_stub(type_name);
}

bool ScriptReader::is_leaf_by_default(const ValuePtr& module) const {
  return options_.tracer->Tracer::is_leaf_module(owner_of(module).class_name, module->path);
}

bool ScriptReader::is_wrapped(const ValuePtr& module, const std::string& method) const {
  const Owner owner = owner_of(module);
  if (options_.wraps->has_method(owner.class_name, method)) return true;
  for (const std::string& leaf : options_.leaves) {
    const size_t dot = owner.class_name.rfind('.');
    const std::string brief = owner.class_name.substr(dot == std::string::npos ? 0 : dot + 1);
    if (leaf == owner.class_name || leaf == brief || leaf == module->path) return true;
  }
  return false;
}

// What nobody but the caller's own tracer would keep whole.
bool ScriptReader::stays_whole(const ValuePtr& module, const std::string& method) const {
  return is_wrapped(module, method) || !is_leaf_by_default(module);
}

bool ScriptReader::is_leaf(const ValuePtr& module, const std::string& method) const {
  if (is_wrapped(module, method)) return true;
  if (module.get() == root_.get()) return false;
  return starts_with(method, "forward") &&
         options_.tracer->is_leaf_module(owner_of(module).class_name, module->path);
}

ValuePtr ScriptReader::call_leaf(const ValuePtr& module, const std::string& method,
                                 const std::vector<ValuePtr>& args, const JitNode* node) {
  if (stays_whole(module, method)) return call_opaque_module(module, method, args, node);
  Leaf leaf;
  const LeafKind kind = read_leaf(gm_, module->constant.toModule(), method, args, options_, &leaf);
  if (kind == LeafKind::kUncapturable) {
    return call_opaque_module(module, method, args, node);
  }
  if (kind != LeafKind::kOneOp) return run_method(module, method, args);
  const auto existing = gm_.module(module->path);
  const bool clash = existing && !same_leaf(*existing, *leaf.module);
  const bool can_overwrite = !leaf.in_place || emitter_.can_rebind(*leaf.in_place);
  if (clash || !can_overwrite) return run_method(module, method, args);
  if (!existing) {
    leaf.module->eval();
    gm_.set_module(module->path, leaf.module);
  }
  ValuePtr result = emitter_.call_module(module->path, leaf.inputs, node->output()->type());
  if (leaf.in_place) {
    emitter_.rebind(leaf.in_place, result);
    return leaf.in_place;
  }
  if (leaf.aliased) share_storage(result, leaf.inputs[*leaf.aliased]);
  return result;
}

ValuePtr ScriptReader::call_opaque_module(const ValuePtr& module, const std::string& method,
                                          const std::vector<ValuePtr>& args, const JitNode* node) {
  const torch::jit::Module object = module->constant.toModule();
  if (method != "forward") {
    std::vector<ValuePtr> all{module};
    all.insert(all.end(), args.begin(), args.end());
    const auto graph = torch::jit::toGraphFunction(object.get_method(method).function()).graph();
    return call_opaque_graph(graph->copy(), std::move(all), module->path, node);
  }
  if (!gm_.module(module->path)) {
    auto leaf = std::make_shared<OpaqueModule>(object);
    gm_.set_module(module->path, std::move(leaf));
  }
  ++opaque_blocks_;
  return emitter_.call_module(module->path, args, node->output()->type());
}

}  // namespace fxq
