// M.pt -> torch::jit::Module in eval mode -> traced graph with types from the example inputs.
#include "fxq/cli/float_model.h"

#include <ATen/core/Tensor.h>
#include <fmt/format.h>
#include <torch/csrc/jit/api/module.h>

#include <mutex>

#include "absl/strings/match.h"
#include "fxq/base/status.h"
#include "fxq/cli/feed.h"
#include "fxq/graph/ivalue_convert.h"
#include "fxq/tracer/shape_prop.h"
#include "fxq/tracer/trace.h"

namespace fxq {
namespace {

// A picture's bytes or NumPy's own float64: dtypes that a float32 model refuses.
bool may_be_meant_as_f32(const at::Tensor& tensor) {
  return tensor.scalar_type() != at::kFloat &&
         (tensor.is_floating_point() || tensor.scalar_type() == at::kByte);
}

absl::Status with_dtypes(const absl::Status& status, const std::vector<c10::IValue>& example) {
  std::string text(status.message());
  for (size_t i = 0; i < example.size(); ++i) {
    if (!example[i].isTensor() || !may_be_meant_as_f32(example[i].toTensor())) continue;
    text += fmt::format("\n  input {} is {}; a model of float32 takes .astype(numpy.float32)", i,
                        type_of(example[i]).to_string());
  }
  return absl::Status(status.code(), text);
}

void note_training(const torch::jit::Module& module, const std::string& path) {
  static std::once_flag once;
  if (!module.hasattr("training") || !module.is_training()) return;
  std::call_once(once, [&] {
    fmt::print(stderr,
               "note: {} was saved in training mode; it is read in eval mode. A traced model keeps "
               "what training did: call .eval() before torch.jit.trace\n",
               path);
  });
}

absl::StatusOr<GraphModule> trace_eval(const FloatModelRequest& request,
                                       const std::vector<c10::IValue>& example) {
  TraceOptions options;
  options.mode = TraceOptions::Mode::kEval;
  FXQ_ASSIGN_OR_RETURN(const torch::jit::Module module, load_script_module(request.path));
  note_training(module, request.path);
  options.leaves = request.leaves;
  for (const c10::IValue& value : example) options.example_inputs.push_back(value);
  auto traced = trace(module, options);
  if (!traced.ok()) return with_dtypes(traced.status(), example);
  GraphModule gm = *std::move(traced);
  gm.eval();
  return gm;
}

}  // namespace

std::vector<std::string> script_input_names(const torch::jit::Module& module,
                                            const std::vector<std::string>& named) {
  std::vector<std::string> names;
  size_t wanted = 0;
  const auto& arguments = module.get_method("forward").function().getSchema().arguments();
  for (size_t i = 1; i < arguments.size(); ++i) {
    names.push_back(arguments[i].name());
    bool is_input = !arguments[i].default_value();
    for (const std::string& entry : named) {
      is_input = is_input || absl::StartsWith(entry, names.back() + "=");
    }
    if (is_input) wanted = names.size();
  }
  names.resize(wanted);
  return names;
}

absl::StatusOr<std::vector<c10::IValue>> example_of_shapes(const std::string& path,
                                                           const std::vector<std::string>& shapes) {
  FXQ_ASSIGN_OR_RETURN(const torch::jit::Module module, load_script_module(path));
  FXQ_ASSIGN_OR_RETURN(const std::vector<NamedTensor> inputs,
                       random_inputs(shapes, input_specs(script_input_names(module, shapes))));
  return to_values(inputs);
}

absl::StatusOr<GraphModule> load_float_graph(const FloatModelRequest& request) {
  return trace_eval(request, {});
}

absl::StatusOr<GraphModule> load_float_graph(const FloatModelRequest& request,
                                             const std::vector<c10::IValue>& example) {
  FXQ_ASSIGN_OR_RETURN(GraphModule gm, trace_eval(request, example));
  FXQ_RETURN_IF_ERROR(request.symbolic_batch ? propagate_symbolic_shapes(gm, example)
                                             : propagate_shapes(gm, example));
  return gm;
}

void print_assumptions(const GraphModule& gm) {
  for (const Node* guard : gm.graph().find_all(OpId::kGuard)) {
    fmt::print("checks: {}\n", guard->args().at(1).get<std::string>());
  }
  for (const std::string& guard : gm.guards) fmt::print("assumes: {}\n", guard);
}

}  // namespace fxq
