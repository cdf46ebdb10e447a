// module.forward  ->  placeholders, the calls that its code makes on them, output.
#include "fxq/tracer/trace.h"

#include <ATen/core/function_schema.h>
#include <fmt/format.h>
#include <fmt/ostream.h>
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

// The method's arguments that can be inputs of the graph.
std::vector<const c10::Argument*> open_arguments(const c10::FunctionSchema& schema,
                                                 const TraceOptions& options) {
  std::vector<const c10::Argument*> open;
  for (size_t i = 1; i < schema.arguments().size(); ++i) {
    const c10::Argument& argument = schema.arguments()[i];
    if (options.concrete_args.count(argument.name()) == 0) open.push_back(&argument);
  }
  return open;
}

absl::Status check_concrete_args(const c10::FunctionSchema& schema, const TraceOptions& options) {
  std::vector<std::string> names;
  for (size_t i = 1; i < schema.arguments().size(); ++i) {
    names.push_back(schema.arguments()[i].name());
  }
  Problems problems;
  for (const auto& [name, value] : options.concrete_args) {
    const auto index = schema.argumentIndexWithName(name);
    if (!index || *index == 0) {
      problems.add(fmt::format("concrete_args: {} has no argument '{}'; {}", schema.name(), name,
                               did_you_mean(name, names)));
    } else if (value.isTensor()) {
      problems.add(
          fmt::format("concrete_args: '{}' is a tensor; only numbers, text, None and "
                      "lists of them can be fixed",
                      name));
    } else if (!value.type()->isSubtypeOf(*schema.arguments()[*index].type())) {
      problems.add(fmt::format("concrete_args: '{}' is {}, not {}", name,
                               schema.arguments()[*index].type()->repr_str(),
                               value.type()->repr_str()));
    }
  }
  return problems.status(absl::StatusCode::kInvalidArgument);
}

absl::Status check_inputs(const c10::FunctionSchema& schema, const TraceOptions& options) {
  const size_t given = options.example_inputs.size();
  const std::vector<const c10::Argument*> open = open_arguments(schema, options);
  size_t needed = open.size();
  while (needed > 0 && open[needed - 1]->default_value()) --needed;
  if (given == 0 || (given >= needed && given <= open.size())) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("{} example inputs were given; the module takes {}", given, needed));
}

// Sizes stay open: the graph is to run with others.
void take_rank(const c10::IValue& example, const Value& input) {
  if (!example.isTensor() || !input.is(Value::Kind::kNode)) return;
  input.node->type = type_of(example);
  if (input.node->type.dims) input.node->type.dims->assign(input.node->type.dims->size(), Dim{});
}

bool takes_default(const c10::Argument& argument, const TraceOptions& options, size_t opened) {
  return argument.default_value() && opened >= options.example_inputs.size();
}

// An Optional argument is what the example says: a tensor, or None.
bool is_optional(const c10::Argument& argument) {
  return argument.type()->kind() == c10::TypeKind::OptionalType;
}

ValuePtr make_input(const c10::Argument& argument, const c10::IValue* example, Emitter& emitter) {
  if (!example || !is_optional(argument)) {
    const ValuePtr input = emitter.placeholder(argument.name(), argument.type());
    if (example) take_rank(*example, *input);
    return input;
  }
  if (example->isNone()) {
    emitter.placeholder(argument.name(), c10::NoneType::get());
    return make_constant(c10::IValue(), argument.type());
  }
  const c10::TypePtr type = argument.type()->expectRef<c10::OptionalType>().getElementType();
  const ValuePtr input = emitter.placeholder(argument.name(), type);
  take_rank(*example, *input);
  return input;
}

// What the graph takes for granted instead of taking an input.
std::vector<std::string> default_arguments(const c10::FunctionSchema& schema,
                                           const TraceOptions& options) {
  std::vector<std::string> texts;
  size_t opened = 0;
  for (size_t i = 1; i < schema.arguments().size(); ++i) {
    const c10::Argument& argument = schema.arguments()[i];
    if (options.concrete_args.count(argument.name()) != 0) continue;
    const size_t at = opened++;
    if (at < options.example_inputs.size() && is_optional(argument)) {
      texts.push_back(fmt::format("argument {} is {}, as in the example inputs", argument.name(),
                                  options.example_inputs[at].isNone() ? "None" : "not None"));
    }
    if (!takes_default(argument, options, at)) continue;
    texts.push_back(fmt::format("argument {} is its default, {}", argument.name(),
                                fmt::streamed(*argument.default_value())));
  }
  return texts;
}

// Arguments that are fixed, or have a default and no example, are not inputs of the graph.
std::vector<ValuePtr> make_inputs(const c10::FunctionSchema& schema, const TraceOptions& options,
                                  Emitter& emitter) {
  std::vector<ValuePtr> inputs;
  size_t opened = 0;
  for (size_t i = 1; i < schema.arguments().size(); ++i) {
    const c10::Argument& argument = schema.arguments()[i];
    const auto concrete = options.concrete_args.find(argument.name());
    if (concrete != options.concrete_args.end()) {
      inputs.push_back(from_ivalue(concrete->second, argument.type()));
      continue;
    }
    const size_t at = opened++;
    if (takes_default(argument, options, at)) {
      inputs.push_back(from_ivalue(*argument.default_value(), argument.type()));
      continue;
    }
    const bool has_example = at < options.example_inputs.size();
    inputs.push_back(
        make_input(argument, has_example ? &options.example_inputs[at] : nullptr, emitter));
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

}  // namespace

Tracer::Tracer(TraceOptions options) : options_(std::move(options)) {}
Tracer::~Tracer() = default;

absl::StatusOr<GraphModule> Tracer::read(const torch::jit::Module& module) const {
  const TraceOptions& options = options_;
  FXQ_RETURN_IF_ERROR(check_method(module, options));
  FXQ_RETURN_IF_ERROR(check_leaves(module, options));
  const c10::FunctionSchema& schema = module.get_method(options.method).function().getSchema();
  FXQ_RETURN_IF_ERROR(check_concrete_args(schema, options));
  FXQ_RETURN_IF_ERROR(check_inputs(schema, options));
  std::set<std::string> state;
  absl::StatusOr<GraphModule> first = read_once(module, state);
  if (state.empty()) return first;
  absl::StatusOr<GraphModule> gm = read_with_state(module, state);
  if (gm.ok() || !first.ok()) return gm;
  // A state that no slot can hold, an object of a script class: what one call gives is still right.
  for (const std::string& name : state) first->guards.push_back(state_is_not_kept(name));
  return first;
}

// A second reading, and seldom a third, knows which attributes are state.
absl::StatusOr<GraphModule> Tracer::read_with_state(const torch::jit::Module& module,
                                                    std::set<std::string>& state) const {
  try {
    for (;;) {
      const size_t known = state.size();
      absl::StatusOr<GraphModule> gm = read_once(module, state);
      if (state.size() == known) return gm;
    }
  } catch (const std::exception& error) {  // a type that slot_code cannot name, among others
    return absl::UnimplementedError(error.what());
  }
}

absl::StatusOr<GraphModule> Tracer::read_once(const torch::jit::Module& module,
                                              std::set<std::string>& state) const {
  const TraceOptions& options = options_;
  GraphModule gm;
  ExampleRunner example(gm, options.example_inputs);
  ReaderOptions reading;
  reading.leaves = options.leaves;
  reading.tracer = this;
  reading.wraps = options.wraps ? options.wraps : &WrapRegistry::process_wide();
  reading.training = trains(module, options);
  reading.as_module = options.mode == TraceOptions::Mode::kAsModule;
  reading.state = state;
  if (!options.example_inputs.empty()) reading.example = &example;
  ScriptReader reader(gm, module, reading);
  const c10::FunctionSchema& schema = module.get_method(options.method).function().getSchema();
  const ValuePtr result = reader.run_method(reader.root(), options.method,
                                            make_inputs(schema, options, reader.emitter()));
  reader.store_state(result);
  state.insert(reader.lost_state().begin(), reader.lost_state().end());
  if (!reader.problems().empty()) return problem_report(module, reader.problems());
  reader.emitter().output(result);
  remove_dead_nodes(gm);
  gm.guards = default_arguments(schema, options);
  gm.guards.insert(gm.guards.end(), reader.guards().begin(), reader.guards().end());
  gm.train(reading.training);
  if (!options.example_inputs.empty()) {
    FXQ_RETURN_IF_ERROR(propagate_shapes(gm, options.example_inputs));
  }
  return gm;
}

// The edge: LibTorch's exceptions end here.
absl::StatusOr<GraphModule> Tracer::trace(const torch::jit::Module& module) const {
  try {
    return read(module);
  } catch (const c10::Error& error) {
    return absl::UnimplementedError(
        fmt::format("{} can't be captured: {}", class_of(module), error.what_without_backtrace()));
  } catch (const std::exception& error) {
    return absl::UnimplementedError(
        fmt::format("{} can't be captured: {}", class_of(module), error.what()));
  }
}

absl::StatusOr<GraphModule> trace(const torch::jit::Module& module, const TraceOptions& options) {
  return Tracer(options).trace(module);
}

absl::StatusOr<GraphModule> trace_file(const std::string& path, const TraceOptions& options) {
  FXQ_ASSIGN_OR_RETURN(const torch::jit::Module module, load_script_module(path));
  return trace(module, options);
}

}  // namespace fxq
