// %relu : tensor   ->   %relu : f32[2,64,56,56]
#include "fxq/tracer/shape_prop.h"

#include <ATen/core/grad_mode.h>

#include <unordered_map>

#include "fxq/graph/interpreter.h"
#include "fxq/graph/ivalue_convert.h"

namespace fxq {
namespace {

class TypeRecorder : public Interpreter {
 public:
  using Interpreter::Interpreter;
  std::unordered_map<std::string, Type> types;

 protected:
  absl::Status on_value(const Node& node, c10::IValue& value) override {
    types[node.name()] = type_of(value);
    return absl::OkStatus();
  }
};

}  // namespace

absl::Status propagate_shapes(GraphModule& gm, const std::vector<c10::IValue>& inputs) {
  at::NoGradGuard no_grad;
  std::vector<c10::IValue> clones;
  for (const c10::IValue& input : inputs) clones.push_back(input.deepcopy());
  GraphModule copy = gm.copy(GraphModule::Copy::kCloneBuffers);
  copy.eval();
  TypeRecorder recorder(copy);
  const auto result = recorder.run(std::move(clones));
  if (!result.ok()) return result.status();
  for (Node* node : gm.graph().nodes()) {
    const auto seen = recorder.types.find(node->name());
    if (seen == recorder.types.end()) continue;
    const auto qparams = node->type.qparams;
    node->type = seen->second;
    if (node->type.is_tensor()) node->type.qparams = qparams;
  }
  return absl::OkStatus();
}

}  // namespace fxq
