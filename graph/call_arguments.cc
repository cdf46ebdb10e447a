// conv2d @c(%x)  ->  input: %x, weight: "c.weight", bias: "c.bias", stride: [1, 1], ...
#include "fxq/graph/call_arguments.h"

#include <ATen/core/function_schema.h>

#include "fxq/graph/ivalue_convert.h"
#include "fxq/graph/naming.h"
#include "fxq/graph/op_module.h"

namespace fxq {
namespace {

// [2] for an int[2] is [2, 2].
Argument spread(const c10::Argument& formal, Argument value) {
  const std::vector<Argument>* items = value.items();
  if (!items || items->size() != 1 || !formal.N() || *formal.N() < 2) return value;
  return Argument::list(std::vector<Argument>(static_cast<size_t>(*formal.N()), items->front()));
}

Argument default_of(const c10::Argument& formal) {
  if (!formal.default_value()) return {};
  const Argument value = to_argument(*formal.default_value()).value_or(Argument());
  return spread(formal, schema_argument(formal, value));
}

// A constant as the schema's type shows it: stride=2 is [2, 2].
Argument as_declared(const c10::Argument& formal, const Argument& value) {
  if (!value.is_constant()) return value;
  try {
    const auto converted = to_argument(to_ivalue_as(value, formal.type()));
    return spread(formal, schema_argument(formal, converted.value_or(value)));
  } catch (const std::exception&) {
    return value;  // what the verifier would refuse stays as it is
  }
}

std::vector<CallArgument> of_module(const Node& node, const OpModule& module) {
  const auto sources = module.sources(node.args().size());
  if (!sources.ok()) return {};
  std::vector<CallArgument> result;
  size_t input = 0;
  for (size_t i = 0; i < sources->size(); ++i) {
    const c10::Argument& formal = module.callee().schema->arguments()[i];
    CallArgument argument{formal.name(), {}, "", &formal};
    switch ((*sources)[i]) {
      case OpModule::Source::kTensor:
        if (module.tensor(formal.name()).defined()) {
          argument.tensor_path = node.target() + "." + formal.name();
        }
        break;
      case OpModule::Source::kAttribute:
        argument.value = as_declared(formal, *module.attribute(formal.name()));
        break;
      case OpModule::Source::kMode:
        argument.value = module.is_training();
        break;
      case OpModule::Source::kInput:
        argument.value = as_declared(formal, node.args()[input++]);
        break;
      case OpModule::Source::kDefault:
        argument.value = default_of(formal);
        break;
    }
    result.push_back(std::move(argument));
  }
  return result;
}

std::vector<CallArgument> of_function(const GraphModule& gm, const Node& node) {
  std::vector<CallArgument> result;
  const auto& formals = node.schema()->arguments();
  for (size_t i = 0; i < formals.size(); ++i) {
    const c10::Argument& formal = formals[i];
    CallArgument argument{formal.name(), {}, "", &formal};
    const Argument* given = i < node.args().size() ? &node.args()[i] : node.kwarg(formal.name());
    argument.value = given ? as_declared(formal, *given) : default_of(formal);
    if (node.follows_mode && is_mode_argument(formal.name())) argument.value = gm.is_training();
    result.push_back(std::move(argument));
  }
  return result;
}

}  // namespace

bool is_default(const CallArgument& argument) {
  if (!argument.tensor_path.empty()) return false;
  if (!argument.formal) return argument.value.is_none();
  return argument.value == default_of(*argument.formal);
}

std::vector<CallArgument> call_arguments(const GraphModule& gm, const Node& node) {
  if (!node.schema()) return {};
  const OpModule* module = gm.op_module(node);
  std::vector<CallArgument> result = module ? of_module(node, *module) : of_function(gm, node);
  for (std::string_view key : {kEpilogueAdd, kEpilogueActivation}) {
    if (const Argument* value = node.kwarg(key)) {
      result.push_back({std::string(key), *value, "", nullptr});
    }
  }
  return result;
}

}  // namespace fxq
