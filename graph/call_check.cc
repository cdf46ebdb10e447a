// conv2d @c(%x, %y)  ->  "conv2d takes 1 argument besides its module's tensors and attributes, got
// 2"
#include "fxq/graph/call_check.h"

#include <ATen/core/function_schema.h>
#include <fmt/format.h>

#include <cmath>
#include <optional>
#include <set>

#include "fxq/base/nearest.h"
#include "fxq/graph/naming.h"
#include "fxq/graph/op_module.h"
#include "fxq/graph/op_names.h"

namespace fxq {
namespace {

using Faults = std::vector<std::string>;

bool is_epilogue(std::string_view key) { return key == kEpilogueAdd || key == kEpilogueActivation; }

bool fits(const Argument& argument, const c10::Type& type);

bool fits_list(const Argument& argument, const c10::Type& element) {
  const std::vector<Argument>* items = argument.items();
  // A single int stands for a list of equal ones: stride=2.
  if (!items) return argument.is<int64_t>() && element.kind() != c10::TypeKind::TensorType;
  for (const Argument& item : *items) {
    if (!fits(item, element)) return false;
  }
  return true;
}

bool fits(const Argument& argument, const c10::Type& type) {
  if (argument.is_node()) return true;
  const bool integer = argument.is<int64_t>() || argument.is<bool>();
  switch (type.kind()) {
    case c10::TypeKind::OptionalType:
      return argument.is_none() ||
             fits(argument, *type.expectRef<c10::OptionalType>().getElementType());
    case c10::TypeKind::TensorType:
      return false;
    case c10::TypeKind::ListType:
      return fits_list(argument, *type.expectRef<c10::ListType>().getElementType());
    case c10::TypeKind::IntType:
      return integer || argument.is<DType>();
    case c10::TypeKind::BoolType:
      return integer;
    case c10::TypeKind::FloatType:
    case c10::TypeKind::NumberType:
      return integer || argument.is<double>();
    case c10::TypeKind::StringType:
      return argument.is<std::string>();
    case c10::TypeKind::DeviceObjType:
      return argument.is<Device>();
    default:
      return true;
  }
}

std::string misfit(const c10::Argument& declared, const Argument& given) {
  return fmt::format("argument '{}' wants {}, got {}", declared.name(), declared.type()->str(),
                     given.to_string());
}

// One call against the schema arguments that its own args may fill.
Faults check_arguments(const Node& node, const std::vector<const c10::Argument*>& declared,
                       const std::string& callee, bool is_vararg) {
  Faults faults;
  std::set<std::string> filled;
  const size_t given = node.args().size();
  if (given > declared.size() && !is_vararg) {
    faults.push_back(
        fmt::format("{} takes at most {} arguments, got {}", callee, declared.size(), given));
  }
  for (size_t i = 0; i < std::min(given, declared.size()); ++i) {
    filled.insert(declared[i]->name());
    if (!fits(node.args()[i], *declared[i]->type())) {
      faults.push_back(misfit(*declared[i], node.args()[i]));
    }
  }
  for (const auto& [key, value] : node.kwargs()) {
    if (is_epilogue(key)) continue;
    const c10::Argument* match = nullptr;
    for (const c10::Argument* argument : declared) {
      if (argument->name() == key) match = argument;
    }
    if (!match) {
      std::vector<std::string> names;
      for (const c10::Argument* argument : declared) names.push_back(argument->name());
      faults.push_back(
          fmt::format("{} has no argument '{}': {}", callee, key, did_you_mean(key, names)));
    } else if (!filled.insert(key).second) {
      faults.push_back(fmt::format("argument '{}' is given twice", key));
    } else if (!fits(value, *match->type())) {
      faults.push_back(misfit(*match, value));
    }
  }
  for (const c10::Argument* argument : declared) {
    if (!argument->default_value() && filled.count(argument->name()) == 0 && !is_vararg) {
      faults.push_back(fmt::format("{} needs an argument '{}'", callee, argument->name()));
    }
  }
  return faults;
}

Faults check_function(const Node& node) {
  if (!node.schema()) return {unknown_op(node.target())};
  std::vector<const c10::Argument*> declared;
  for (const c10::Argument& argument : node.schema()->arguments()) declared.push_back(&argument);
  return check_arguments(node, declared, name_of(node.target()), node.schema()->is_vararg());
}

Faults check_module_call(const GraphModule& gm, const Node& node) {
  const auto module = gm.module(node.target());
  if (!module) {
    return {fmt::format("there is no module '{}': {}", node.target(),
                        did_you_mean(node.target(), gm.module_paths()))};
  }
  Faults faults;
  if (module->callee().op != node.op() || module->callee().schema != node.schema()) {
    faults.push_back(fmt::format("its op is not the one of module '{}'", node.target()));
  }
  for (const auto& [key, value] : node.kwargs()) {
    if (!is_epilogue(key)) {
      faults.push_back(fmt::format("a module takes no argument by name, got '{}'", key));
    }
  }
  const OpModule* op = gm.op_module(node);
  if (!op || !op->callee().schema || !faults.empty()) return faults;
  std::vector<const c10::Argument*> declared;
  for (const c10::Argument& argument : op->callee().schema->arguments()) {
    const bool own = op->names_tensor(argument.name()) || op->attribute(argument.name()) ||
                     is_mode_argument(argument.name());
    if (!own) declared.push_back(&argument);
  }
  return check_arguments(node, declared, op->kind(), op->callee().schema->is_vararg());
}

Faults check_method(const Node& node) {
  if (!node.args().empty() && node.args()[0].is_node()) return {};
  return {"a method needs the object that it is of as its first argument"};
}

std::vector<std::string> activations() {
  std::vector<std::string> names;
  for (const OpDef& def : op_table()) {
    if (def.is_activation) names.emplace_back(def.name);
  }
  return names;
}

// y = activation(base(..) + add): sums belong to integer accumulators, so only weighted ops add;
// activations to kernels that round once.
Faults check_epilogue(const Node& node) {
  Faults faults;
  const OpDef& def = op_def(node.op());
  const bool may_end = def.rule == Rule::kObserved && !def.kernel.empty();
  for (const auto& [key, value] : node.kwargs()) {
    if (!is_epilogue(key)) continue;
    const bool is_add = key == kEpilogueAdd;
    if (def.rule != Rule::kWeighted && (is_add || !may_end)) {
      const std::string callee =
          node.op() == OpId::kNone ? node.target() : std::string(op_def(node.op()).name);
      faults.push_back(fmt::format("{} takes no '{}'", callee, key));
    } else if (is_add && !value.is_node()) {
      faults.push_back(fmt::format("'add' wants a node, got {}", value.to_string()));
    } else if (!is_add) {
      const auto* name = value.get_if<std::string>();
      const OpId op = name ? op_from_name(*name) : OpId::kNone;
      if (op == OpId::kNone || !op_def(op).is_activation) {
        const std::string given = name ? *name : value.to_string();
        faults.push_back(fmt::format("'{}' is no activation that ends an op: {}", given,
                                     did_you_mean(given, activations())));
      }
    }
  }
  return faults;
}

}  // namespace

Faults check_call(const GraphModule& gm, const Node& node) {
  Faults faults;
  if (node.is(NodeKind::kCallFunction)) faults = check_function(node);
  if (node.is(NodeKind::kCallModule)) faults = check_module_call(gm, node);
  if (node.is(NodeKind::kCallMethod)) faults = check_method(node);
  if (!node.is_call()) return faults;
  const Faults epilogue = check_epilogue(node);
  faults.insert(faults.end(), epilogue.begin(), epilogue.end());
  return faults;
}

Faults check_module(const LeafModule& module) {
  Faults faults;
  const auto* op = dynamic_cast<const OpModule*>(&module);
  if (!op || !op->callee().schema) return faults;
  const c10::FunctionSchema& schema = *op->callee().schema;
  // Of the op itself: a derived module may have more of its own.
  for (const auto& [name, value] : op->OpModule::attributes()) {
    const auto index = schema.argumentIndexWithName(name);
    if (!index) {
      std::vector<std::string> names;
      for (const c10::Argument& argument : schema.arguments()) names.push_back(argument.name());
      faults.push_back(
          fmt::format("{} has no attribute '{}': {}", op->kind(), name, did_you_mean(name, names)));
    } else if (!value.is_constant() || !fits(value, *schema.arguments()[*index].type())) {
      faults.push_back(misfit(schema.arguments()[*index], value));
    }
  }
  return faults;
}

Faults check_type(const Type& type) {
  Faults faults;
  if (type.qparams) {
    const bool integer = type.is_tensor() && type.dtype && !is_floating_point(*type.dtype) &&
                         *type.dtype != DType::kBool;
    if (!integer) faults.push_back("quantized, but not an integer tensor: " + type.to_string());
    if (!(type.qparams->scale > 0) || !std::isfinite(type.qparams->scale)) {
      faults.push_back(fmt::format("a scale of {}", type.qparams->scale));
    }
  }
  for (const Type& element : type.elements) {
    const Faults nested = check_type(element);
    faults.insert(faults.end(), nested.begin(), nested.end());
  }
  return faults;
}

}  // namespace fxq
