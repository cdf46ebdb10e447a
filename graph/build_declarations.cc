// ModuleSpec{"conv2d", tensors, attributes} -> OpModule, or what the caller's factory of that kind
// makes.
#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include "fxq/base/nearest.h"
#include "fxq/graph/call_check.h"
#include "fxq/graph/declarations.h"
#include "fxq/graph/naming.h"
#include "fxq/graph/op_module.h"
#include "fxq/graph/op_names.h"
#include "fxq/graph/weighted_bn_module.h"

namespace fxq {
namespace {

// "layer1.conv.weight" -> the module that holds it and "weight".
std::pair<std::shared_ptr<LeafModule>, std::string> holder(const GraphModule& gm,
                                                           const std::string& path) {
  for (size_t dot = path.rfind('.'); dot != std::string::npos && dot > 0;
       dot = path.rfind('.', dot - 1)) {
    if (auto module = gm.module(path.substr(0, dot))) return {module, path.substr(dot + 1)};
  }
  return {nullptr, ""};
}

at::Tensor tensor_at(const GraphModule& gm, const std::string& path) {
  if (at::Tensor tensor = gm.tensor(path); tensor.defined()) return tensor;
  const auto [module, name] = holder(gm, path);
  if (!module) return {};
  for (const auto& [key, tensor] : module->tensors()) {
    if (key == name) return tensor;
  }
  return {};
}

}  // namespace

absl::StatusOr<std::shared_ptr<LeafModule>> Declarations::make(const ModuleSpec& spec) {
  if (const auto it = options_.factories.find(spec.kind); it != options_.factories.end()) {
    return it->second(spec);
  }
  if (spec.kind == "opaque") {
    return absl::InvalidArgumentError(
        "an opaque module is TorchScript code, which no text holds: load the saved artifact, or "
        "give "
        "a factory for \"opaque\"");
  }
  if (weighted_bn_op(spec.kind) != OpId::kNone) return read_weighted_bn_module(spec);
  const Callee callee = find_op(spec.kind);
  if (!callee.schema) {
    std::vector<std::string> known = op_names();
    for (const auto& [kind, factory] : options_.factories) known.push_back(kind);
    return absl::InvalidArgumentError(
        fmt::format("unknown kind of module '{}': {}", spec.kind, did_you_mean(spec.kind, known)));
  }
  if (callee.op != OpId::kNone && is_row_name(spec.kind)) {
    return std::make_shared<OpModule>(spec.class_name, callee.op, spec.tensors, spec.attributes);
  }
  return std::make_shared<OpModule>(spec.class_name, callee.schema, spec.tensors, spec.attributes);
}

void Declarations::build(GraphModule& gm) {
  for (const auto& [path, trains] : tensors_) gm.set_tensor(path, slots_.finish(path, trains));
  for (Module& module : modules_) {
    for (auto& [name, tensor] : module.spec.tensors) {
      if (module.spec.kind == "opaque") continue;
      const bool trains =
          trains_by_name(name) ? module.frozen.count(name) == 0 : module.trains.count(name) != 0;
      tensor = slots_.finish(module.spec.path + "." + name, trains);
    }
    auto made = make(module.spec);
    std::vector<std::string> faults;
    if (made.ok()) {
      faults = check_module(**made);
    } else {
      faults.emplace_back(made.status().message());
    }
    for (const std::string& fault : faults) {
      problems_.add(
          Lexer::at(module.at, fmt::format("module {}: {}", module.at.describe(), fault)));
    }
    if (faults.empty()) gm.set_module(module.spec.path, *std::move(made));
  }
  gm.train(training_);
  for (const Module& module : modules_) {
    const auto leaf = gm.module(module.spec.path);
    if (leaf && module.mode != Mode::kOfGraph) leaf->train(module.mode == Mode::kTrain);
  }
  restore_ties(gm);
}

// A factory may bring its own tensors (TorchScript code does); what the text ties shares them.
void Declarations::restore_ties(GraphModule& gm) {
  for (const auto& [path, source] : slots_.ties()) {
    const at::Tensor from = tensor_at(gm, source);
    const at::Tensor to = tensor_at(gm, path);
    if (!from.defined() || !to.defined() || from.is_same(to)) continue;
    if (from.numel() > 0 && from.data_ptr() == to.data_ptr()) continue;
    if (gm.tensor(path).defined()) {
      gm.set_tensor(path, from);
    } else {
      const auto [module, name] = holder(gm, path);
      module->set_tensor(name, from);
    }
  }
}

}  // namespace fxq
