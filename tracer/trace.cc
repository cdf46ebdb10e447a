// module.forward  ->  placeholders, the calls that its code makes on them, output.
#include "fxq/tracer/trace.h"

#include <ATen/core/function_schema.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/csrc/jit/api/module.h>

#include <set>

#include "fxq/base/nearest.h"
#include "fxq/base/status.h"
#include "fxq/graph/ivalue_convert.h"
#include "fxq/graph/problems.h"
#include "fxq/tracer/example_runner.h"
#include "fxq/tracer/script_reader.h"
#include "fxq/tracer/shape_prop.h"

namespace fxq {

TraceOptions::TraceOptions() = default;
TraceOptions::~TraceOptions() = default;
TraceOptions::TraceOptions(const TraceOptions&) = default;
TraceOptions& TraceOptions::operator=(const TraceOptions&) = default;

namespace {

std::string class_of(const torch::jit::Module& module) {
  return module.type()->name() ? python_name(module.type()->name()->qualifiedName()) : "module";
}

bool trains(const torch::jit::Module& module, const TraceOptions& options) {
  if (options.mode != TraceOptions::Mode::kAsModule) {
    return options.mode == TraceOptions::Mode::kTrain;
  }
  return module.hasattr("training") && module.is_training();
}

absl::Status check_method(const torch::jit::Module& module, const TraceOptions& options) {
  if (module.find_method(options.method)) return absl::OkStatus();
  std::vector<std::string> known;
  for (const auto& method : module.get_methods()) known.push_back(method.name());
  return absl::InvalidArgumentError(fmt::format("{} has no method '{}'; {}", class_of(module),
                                                options.method,
                                                did_you_mean(options.method, known)));
}

absl::Status check_inputs(const c10::FunctionSchema& schema, const TraceOptions& options) {
  const size_t given = options.example_inputs.size();
  size_t needed = 0;
  for (size_t i = 1; i < schema.arguments().size(); ++i) {
    if (!schema.arguments()[i].default_value()) needed = i;
  }
  if (given == 0 || (given >= needed && given < schema.arguments().size())) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("{} example inputs were given; the module takes {}", given, needed));
}

// Sizes stay open: the graph is to run with others.
void take_rank(const c10::IValue& example, const Value& input) {
  if (!example.isTensor() || !input.is(Value::Kind::kNode)) return;
  input.node->type = type_of(example);
  if (input.node->type.dims) input.node->type.dims->assign(input.node->type.dims->size(), Dim{});
}

// Arguments that have a default and no example are not inputs of the graph.
std::vector<ValuePtr> make_inputs(const c10::FunctionSchema& schema, const TraceOptions& options,
                                  Emitter& emitter) {
  std::vector<ValuePtr> inputs;
  for (size_t i = 1; i < schema.arguments().size(); ++i) {
    const c10::Argument& argument = schema.arguments()[i];
    if (argument.default_value() && i > options.example_inputs.size()) {
      inputs.push_back(from_ivalue(*argument.default_value(), argument.type()));
      continue;
    }
    inputs.push_back(emitter.placeholder(argument.name(), argument.type()));
    if (i <= options.example_inputs.size())
      take_rank(options.example_inputs[i - 1], *inputs.back());
  }
  return inputs;
}

absl::Status problem_report(const torch::jit::Module& module,
                            const std::vector<std::string>& problems) {
  return absl::UnimplementedError(fmt::format(
      "{} can't be captured: {} place{} in its code:\n  {}\nWrap the function, method or "
      "class there (wrap) to keep it whole, or rewrite it.",
      class_of(module), problems.size(), problems.size() == 1 ? "" : "s",
      fmt::join(problems, "\n  ")));
}

// Classes by their whole or last name, and paths.
absl::Status check_leaves(const torch::jit::Module& module, const TraceOptions& options) {
  std::set<std::string> known;
  for (const auto& entry : module.named_modules()) {
    const std::string name = class_of(entry.value);
    for (const std::string& each : {entry.name, name, name.substr(name.rfind('.') + 1)}) {
      if (!each.empty()) known.insert(each);
    }
  }
  Problems problems;
  for (const std::string& leaf : options.leaves) {
    if (known.count(leaf) != 0) continue;
    problems.add(
        fmt::format("there is no module or class '{}' to keep whole; {}", leaf,
                    did_you_mean(leaf, std::vector<std::string>(known.begin(), known.end()))));
  }
  return problems.status(absl::StatusCode::kInvalidArgument);
}

absl::StatusOr<GraphModule> read_module(const torch::jit::Module& module,
                                        const TraceOptions& options) {
  FXQ_RETURN_IF_ERROR(check_method(module, options));
  FXQ_RETURN_IF_ERROR(check_leaves(module, options));
  const c10::FunctionSchema& schema = module.get_method(options.method).function().getSchema();
  FXQ_RETURN_IF_ERROR(check_inputs(schema, options));
  GraphModule gm;
  ExampleRunner example(gm, options.example_inputs);
  ReaderOptions reading;
  reading.leaves = options.leaves;
  reading.wraps = options.wraps ? options.wraps : &WrapRegistry::process_wide();
  reading.training = trains(module, options);
  reading.as_module = options.mode == TraceOptions::Mode::kAsModule;
  if (!options.example_inputs.empty()) reading.example = &example;
  ScriptReader reader(gm, module, reading);
  const ValuePtr result = reader.run_method(reader.root(), options.method,
                                            make_inputs(schema, options, reader.emitter()));
  if (!reader.problems().empty()) return problem_report(module, reader.problems());
  reader.emitter().output(result);
  remove_dead_nodes(gm);
  gm.guards = reader.guards();
  gm.train(reading.training);
  if (!options.example_inputs.empty()) {
    FXQ_RETURN_IF_ERROR(propagate_shapes(gm, options.example_inputs));
  }
  return gm;
}

}  // namespace

// The edge: LibTorch's exceptions end here.
absl::StatusOr<GraphModule> trace(const torch::jit::Module& module, const TraceOptions& options) {
  try {
    return read_module(module, options);
  } catch (const c10::Error& error) {
    return absl::UnimplementedError(
        fmt::format("{} can't be captured: {}", class_of(module), error.what_without_backtrace()));
  } catch (const std::exception& error) {
    return absl::UnimplementedError(
        fmt::format("{} can't be captured: {}", class_of(module), error.what()));
  }
}

absl::StatusOr<GraphModule> trace_file(const std::string& path, const TraceOptions& options) {
  FXQ_ASSIGN_OR_RETURN(const torch::jit::Module module, load_script_module(path));
  return trace(module, options);
}

}  // namespace fxq
