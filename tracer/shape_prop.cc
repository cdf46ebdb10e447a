// %relu : tensor   ->   %relu : f32[2,64,56,56]
#include "fxq/tracer/shape_prop.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/narrow.h>
#include <fmt/format.h>

#include <unordered_map>

#include "fxq/base/status.h"
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

using Types = std::unordered_map<std::string, Type>;

absl::StatusOr<Types> observed_types(const GraphModule& gm,
                                     const std::vector<c10::IValue>& inputs) {
  at::NoGradGuard no_grad;
  std::vector<c10::IValue> clones;
  for (const c10::IValue& input : inputs) clones.push_back(input.deepcopy());
  GraphModule copy = gm.copy(GraphModule::Copy::kCloneBuffers);
  copy.eval();
  TypeRecorder recorder(copy);
  const auto result = recorder.run(std::move(clones));
  if (!result.ok()) return result.status();
  return std::move(recorder.types);
}

void write_types(GraphModule& gm, const Types& types) {
  for (Node* node : gm.graph().nodes()) {
    const auto seen = types.find(node->name());
    if (seen == types.end()) continue;
    const auto qparams = node->type.qparams;
    node->type = seen->second;
    if (node->type.is_tensor()) node->type.qparams = qparams;
  }
}

// Samples of the first tensor; 0 if there is none.
int64_t batch_of(const std::vector<c10::IValue>& inputs) {
  for (const c10::IValue& input : inputs) {
    if (input.isTensor() && input.toTensor().dim() > 0) return input.toTensor().size(0);
  }
  return 0;
}

std::vector<c10::IValue> with_one_more(const std::vector<c10::IValue>& inputs, int64_t batch) {
  std::vector<c10::IValue> more = inputs;
  for (c10::IValue& input : more) {
    if (!input.isTensor() || input.toTensor().dim() == 0) continue;
    const at::Tensor rows = input.toTensor();
    if (rows.size(0) == batch) input = at::cat({rows, rows.narrow(0, 0, 1)});
  }
  return more;
}

Dim merged(const Dim& dim, const Dim& larger, int64_t batch) {
  if (dim == larger) return dim;
  const int64_t factor = larger.size - dim.size;  // rows for each sample
  if (dim.size != factor * batch) return {};
  return {-1, factor == 1 ? "N" : "N_times_" + std::to_string(factor)};
}

Type merged(Type type, const Type& larger, int64_t batch) {
  if (type.kind != larger.kind) return {};
  if (type.dims && larger.dims && type.dims->size() == larger.dims->size()) {
    for (size_t i = 0; i < type.dims->size(); ++i) {
      (*type.dims)[i] = merged((*type.dims)[i], (*larger.dims)[i], batch);
    }
  } else if (type.dims != larger.dims) {
    type.dims = std::nullopt;
  }
  if (type.elements.size() != larger.elements.size()) return Type::of(Type::Kind::kUnknown);
  for (size_t i = 0; i < type.elements.size(); ++i) {
    type.elements[i] = merged(type.elements[i], larger.elements[i], batch);
  }
  return type;
}

}  // namespace

absl::Status propagate_shapes(GraphModule& gm, const std::vector<c10::IValue>& inputs) {
  FXQ_ASSIGN_OR_RETURN(const Types types, observed_types(gm, inputs));
  write_types(gm, types);
  return absl::OkStatus();
}

absl::Status propagate_symbolic_shapes(GraphModule& gm, const std::vector<c10::IValue>& inputs) {
  FXQ_ASSIGN_OR_RETURN(Types types, observed_types(gm, inputs));
  const int64_t batch = batch_of(inputs);
  const auto larger = batch > 0 ? observed_types(gm, with_one_more(inputs, batch))
                                : absl::InvalidArgumentError("no input is a batch");
  if (larger.ok()) {
    for (auto& [name, type] : types) type = merged(type, larger->at(name), batch);
  }
  write_types(gm, types);
  if (larger.ok()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      fmt::format("with {} samples the graph runs, with {} it does not: {}", batch, batch + 1,
                  std::string(larger.status().message())));
}

}  // namespace fxq
