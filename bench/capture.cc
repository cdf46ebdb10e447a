// Captures one TorchScript model and compares the graph with the module's own forward:
//   capture [--load-library LIB.so]... [--list] [--also SHAPE]... MODEL.pt SHAPE...
// The graph is captured without an example where that works, else with one. Both sides run on two
// inputs of the given shapes and on one of each --also shape (for every input), if the module takes
// it. --list: the shapes are those of one list of tensors. Prints a line of JSON: nodes, opaque
// nodes, the largest absolute difference of any result, sizes compared, milliseconds of the
// capture.
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/rand.h>
#include <torch/csrc/jit/api/module.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <limits>
#include <nlohmann/json.hpp>

#include "absl/strings/str_split.h"
#include "fmt/format.h"
#include "fxq/base/status.h"
#include "fxq/graph/leaf_module.h"
#include "fxq/quant/compare.h"
#include "fxq/tracer/trace.h"

namespace fxq {
namespace {

struct Arguments {
  std::string model;
  std::vector<std::string> shapes, also, libraries;
  bool list = false;
};

struct Capture {
  GraphModule graph;
  bool example = false;
  double ms = 0;
};

std::vector<int64_t> parse(const std::string& text) {
  std::vector<int64_t> dims;
  for (const std::string& part : std::vector<std::string>(absl::StrSplit(text, 'x'))) {
    dims.push_back(std::stoll(part));
  }
  return dims;
}

std::vector<c10::IValue> make_inputs(const Arguments& arguments,
                                     const std::vector<std::string>& shapes, uint64_t seed) {
  at::manual_seed(seed);
  std::vector<c10::IValue> inputs;
  c10::List<at::Tensor> list;
  for (const std::string& shape : shapes) {
    const at::Tensor tensor = at::rand(parse(shape));
    list.push_back(tensor);
    inputs.emplace_back(tensor);
  }
  if (arguments.list) return {list};
  return inputs;
}

absl::StatusOr<Capture> capture(const torch::jit::Module& module, const Arguments& arguments) {
  Capture result;
  TraceOptions options;
  options.mode = TraceOptions::Mode::kEval;
  const auto start = std::chrono::steady_clock::now();
  auto graph = trace(module, options);
  if (!graph.ok()) {
    result.example = true;
    options.example_inputs = make_inputs(arguments, arguments.shapes, 1);
    graph = trace(module, options);
  }
  const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - start;
  FXQ_RETURN_IF_ERROR(graph.status());
  result.graph = *std::move(graph);
  result.graph.eval();
  result.ms = taken.count();
  return result;
}

// Infinite if structure, shapes or NaNs differ.
double difference(const c10::IValue& a, const c10::IValue& b) {
  const std::vector<at::Tensor> left = flatten_tensors(a), right = flatten_tensors(b);
  if (left.size() != right.size()) return std::numeric_limits<double>::infinity();
  double most = 0;
  for (size_t i = 0; i < left.size(); ++i) {
    if (left[i].sizes() != right[i].sizes()) return std::numeric_limits<double>::infinity();
    if (left[i].numel() == 0 || left[i].equal(right[i])) continue;
    const at::Tensor apart = (left[i].to(at::kDouble) - right[i].to(at::kDouble)).abs();
    const at::Tensor both_nan = left[i].ne(left[i]).logical_and(right[i].ne(right[i]));
    const at::Tensor known = apart.masked_fill(both_nan, 0.0);
    const double worst = known.max().item<double>();
    most = std::max(most, worst == worst ? worst : std::numeric_limits<double>::infinity());
  }
  return most;
}

// Nothing if the module itself does not take the inputs.
absl::StatusOr<std::optional<double>> compare(const torch::jit::Module& module,
                                              const GraphModule& graph,
                                              const std::vector<c10::IValue>& inputs) {
  auto copies = [&] {
    std::vector<c10::IValue> all;
    for (const c10::IValue& input : inputs) all.push_back(input.deepcopy());
    return all;
  };
  torch::jit::Module original = module.deepcopy();
  c10::IValue expected;
  try {
    expected = original.forward(copies());
  } catch (const std::exception&) {
    return std::optional<double>();
  }
  FXQ_ASSIGN_OR_RETURN(const c10::IValue actual, graph.forward(copies()));
  return std::optional<double>(difference(expected, actual));
}

absl::StatusOr<nlohmann::json> run(const Arguments& arguments) {
  for (const std::string& path : arguments.libraries) {
    FXQ_RETURN_IF_ERROR(load_operator_library(path));
  }
  FXQ_ASSIGN_OR_RETURN(torch::jit::Module module, load_script_module(arguments.model));
  module.eval();
  FXQ_ASSIGN_OR_RETURN(const Capture captured, capture(module, arguments));
  const at::NoGradGuard no_grad;
  int opaque = 0;
  for (const std::string& path : captured.graph.module_paths()) {
    opaque += captured.graph.module(path)->kind() == "opaque";
  }
  std::vector<std::vector<c10::IValue>> tries = {make_inputs(arguments, arguments.shapes, 1),
                                                 make_inputs(arguments, arguments.shapes, 2)};
  for (const std::string& shape : arguments.also) {
    tries.push_back(
        make_inputs(arguments, std::vector<std::string>(arguments.shapes.size(), shape), 3));
  }
  double most = 0;
  int compared = 0;
  for (const std::vector<c10::IValue>& inputs : tries) {
    FXQ_ASSIGN_OR_RETURN(const std::optional<double> apart,
                         compare(module, captured.graph, inputs));
    compared += apart.has_value();
    most = std::max(most, apart.value_or(0));
  }
  if (compared == 0) return absl::InvalidArgumentError("the module takes none of the inputs");
  return nlohmann::json{{"nodes", captured.graph.graph().size()},
                        {"opaque", opaque},
                        {"example", captured.example},
                        {"compared", compared},
                        {"max_difference", most},
                        {"ms", captured.ms}};
}

}  // namespace
}  // namespace fxq

int main(int argc, char** argv) {
  fxq::Arguments arguments;
  CLI::App app{"Captures a TorchScript model and compares the graph with its own forward"};
  app.add_option("model", arguments.model)->required();
  app.add_option("shapes", arguments.shapes)->required();
  app.add_option("--also", arguments.also)->allow_extra_args(false);
  app.add_option("--load-library", arguments.libraries)->allow_extra_args(false);
  app.add_flag("--list", arguments.list);
  CLI11_PARSE(app, argc, argv);
  at::set_num_threads(1);
  try {
    const auto result = fxq::run(arguments);
    if (result.ok()) {
      fmt::print("{}\n", result->dump());
      return 0;
    }
    fmt::print(stderr, "{}: {}\n", arguments.model, std::string(result.status().message()));
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}: {}\n", arguments.model, error.what());
  }
  return 1;
}
