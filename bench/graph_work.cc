// What graph work costs (Google Benchmark): the stages of the main job on a model, from loading it
// to loading its program, and every pass, the printer, the parser and the verifier on generated
// graphs of 1k, 10k and 100k nodes, with the fitted complexity.
//   ./dev bench graph_work [--benchmark_filter=...]      FXQ_BENCH_MODEL: a .pt (default:
//   resnet50); FXQ_BENCH_THREADS: of ATen (default: 1)
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/relu.h>
#include <benchmark/benchmark.h>
#include <torch/csrc/jit/api/module.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "fmt/format.h"
#include "fxq/base/safetensors.h"
#include "fxq/graph/interpreter.h"
#include "fxq/graph/leaf_module.h"
#include "fxq/graph/tensor_slab.h"
#include "fxq/graph/text.h"
#include "fxq/graph/verifier.h"
#include "fxq/passes/registry.h"
#include "fxq/quant/convert_fx.h"
#include "fxq/quant/fuse_fx.h"
#include "fxq/quant/prepare_fx.h"
#include "fxq/runtime/executor.h"
#include "fxq/runtime/lower/lower.h"
#include "fxq/tracer/shape_prop.h"
#include "fxq/tracer/trace.h"

namespace fxq {
namespace {

// The model at each stage, made once.
struct Stages {
  torch::jit::Module script;
  GraphModule graph, fused;
  std::optional<ObservedGraphModule> observed;
  std::optional<QuantizedGraph> quantized;
};

std::string model_path() {
  const char* path = std::getenv("FXQ_BENCH_MODEL");
  return path ? path : FXQ_MODELS_DIR "/resnet50.script.pt";
}

Stages make_stages() {
  const at::Tensor x = at::randn({1, 3, 64, 64});
  Stages stages{load_script_module(model_path()).value(), {}, {}, {}, {}};
  stages.graph = trace(stages.script).value();
  stages.graph.eval();
  if (!propagate_shapes(stages.graph, {x}).ok()) std::abort();
  stages.fused = fuse_fx(stages.graph).value();
  stages.observed = prepare_calibration_fx(stages.fused).value();
  stages.observed->forward({x}).value();
  stages.quantized = convert_fx(*stages.observed).value();
  return stages;
}

const Stages& stages() {
  static const Stages* const made = new Stages(make_stages());
  return *made;
}

void BM_Trace(benchmark::State& state) {
  const torch::jit::Module& module = stages().script;
  for (auto _ : state) benchmark::DoNotOptimize(trace(module).value().graph().size());
}
void BM_Fuse(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(fuse_fx(stages().graph).value().graph().size());
}
// What folding batch norms into weights cannot go below: the same bytes, only copied.
void BM_CopyWeights(benchmark::State& state) {
  std::vector<at::Tensor> weights;
  for (const std::string& path : stages().graph.module_paths()) {
    for (const auto& [name, tensor] : stages().graph.module(path)->tensors()) {
      if (name == "weight" && tensor.dim() == 4) weights.push_back(tensor);
    }
  }
  for (auto _ : state) {
    TensorSlab slab;
    std::vector<at::Tensor> copies;
    for (const at::Tensor& weight : weights) {
      copies.push_back(slab.empty(weight.sizes(), weight.scalar_type()));
      std::memcpy(copies.back().data_ptr(), weight.data_ptr(), weight.nbytes());
    }
    benchmark::DoNotOptimize(copies.data());
  }
}
void BM_Prepare(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(prepare_calibration_fx(stages().fused).ok());
}
void BM_Convert(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(convert_fx(*stages().observed).ok());
}
void BM_Lower(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(lower(stages().quantized->graph_module()).ok());
}
void BM_LoadScript(benchmark::State& state) {
  const std::string path = model_path();
  for (auto _ : state) benchmark::DoNotOptimize(load_script_module(path).ok());
}
// The .fxq's program, ready for its first run in any shape.
void BM_LoadProgram(benchmark::State& state) {
  Artifact artifact;
  lower(stages().quantized->graph_module()).value().to_artifact(artifact);
  const std::string path = std::filesystem::temp_directory_path() / "fxq_graph_work.fxq";
  if (!save_artifact(artifact, path).ok()) std::abort();
  for (auto _ : state) benchmark::DoNotOptimize(load_program(path).ok());
  std::remove(path.c_str());
}
BENCHMARK(BM_Trace)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_Fuse)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_CopyWeights)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_Prepare)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_Convert)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_Lower)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_LoadScript)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_LoadProgram)->Unit(benchmark::kMillisecond);

// What the interpreter adds to a bare ATen call: a chain of 1000 calls on one number, both ways in
// turns, minima. `ns` is per node: ATen's own call, the interpreter's, and the difference.
void BM_InterpreterNode(benchmark::State& state) {
  constexpr int kNodes = 1000;
  std::string text = "graph (%x: f32[1]) {\n  %a0 = relu(%x)\n";
  for (int i = 1; i < kNodes; ++i) text += fmt::format("  %a{} = relu(%a{})\n", i, i - 1);
  const GraphModule gm = parse_text(text + fmt::format("  return %a{}\n}}", kNodes - 1)).value();
  Interpreter interpreter(gm);
  const at::NoGradGuard no_grad;
  const at::Tensor x = at::randn({1});
  using Clock = std::chrono::steady_clock;
  auto best = [](double& least, Clock::time_point begin) {
    const std::chrono::duration<double, std::nano> taken = Clock::now() - begin;
    least = std::min(least, taken.count() / kNodes);
  };
  double bare = 1e12;
  double interpreted = 1e12;
  for (auto _ : state) {
    auto begin = Clock::now();
    at::Tensor y = x;
    for (int i = 0; i < kNodes; ++i) y = at::relu(y);
    best(bare, begin);
    begin = Clock::now();
    benchmark::DoNotOptimize(interpreter.run({x}).ok());
    best(interpreted, begin);
  }
  state.counters["bare_ns"] = bare;
  state.counters["interpreter_ns"] = interpreted;
  state.counters["overhead_ns"] = interpreted - bare;
}
BENCHMARK(BM_InterpreterNode)->Unit(benchmark::kMillisecond);

// Blocks of five nodes: something for fusion, recomposition, CSE, dead code and identities to do.
std::string generated_text(int64_t nodes) {
  std::string text = "graph (%x: f32[1,8,4,4]) {\n";
  std::string last = "x";
  for (int64_t i = 0; i + 5 <= nodes; i += 5) {
    text += fmt::format("  %s{0} = sigmoid(%{1})\n  %m{0} = mul(%{1}, %s{0})\n", i, last);
    text += fmt::format(
        "  %r{0} = relu(%m{0})\n  %d{0} = relu(%m{0})\n  %a{0} = add(%r{0}, %{1})\n", i, last);
    last = fmt::format("a{}", i);
  }
  return text + fmt::format("  return %{}\n}}\n", last);
}

const GraphModule& generated(int64_t nodes) {
  static auto* const made = new std::map<int64_t, GraphModule>();
  const auto found = made->find(nodes);
  if (found != made->end()) return found->second;
  return made->emplace(nodes, parse_text(generated_text(nodes)).value()).first->second;
}

void BM_Parse(benchmark::State& state) {
  const std::string text = generated_text(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(parse_text(text).ok());
  state.SetComplexityN(state.range(0));
}
void BM_Print(benchmark::State& state) {
  const GraphModule& gm = generated(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(print_text(gm).size());
  state.SetComplexityN(state.range(0));
}
void BM_Verify(benchmark::State& state) {
  const GraphModule& gm = generated(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(verify(gm).ok());
  state.SetComplexityN(state.range(0));
}
void BM_Copy(benchmark::State& state) {
  const GraphModule& gm = generated(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(gm.copy().graph().size());
  state.SetComplexityN(state.range(0));
}
// Works on a copy that is made outside of the clock.
void BM_Pass(benchmark::State& state, PassFunction run) {
  const GraphModule& gm = generated(state.range(0));
  for (auto _ : state) {
    state.PauseTiming();
    auto copy = std::make_unique<GraphModule>(gm.copy());
    state.ResumeTiming();
    benchmark::DoNotOptimize(run(*copy).ok());
    state.PauseTiming();
    copy.reset();
    state.ResumeTiming();
  }
  state.SetComplexityN(state.range(0));
}

void sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->Arg(1000)->Arg(10000)->Arg(100000)->Complexity()->Unit(benchmark::kMillisecond);
}
BENCHMARK(BM_Parse)->Apply(sizes);
BENCHMARK(BM_Print)->Apply(sizes);
BENCHMARK(BM_Verify)->Apply(sizes);
BENCHMARK(BM_Copy)->Apply(sizes);

}  // namespace
}  // namespace fxq

int main(int count, char** arguments) {
  const char* threads = std::getenv("FXQ_BENCH_THREADS");
  at::set_num_threads(threads ? std::max(1, std::atoi(threads)) : 1);
  for (const fxq::PassInfo& pass : fxq::pass_table()) {
    benchmark::RegisterBenchmark(("pass/" + std::string(pass.name)).c_str(), fxq::BM_Pass, pass.run)
        ->Apply(fxq::sizes);
  }
  benchmark::Initialize(&count, arguments);
  if (benchmark::ReportUnrecognizedArguments(count, arguments)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
