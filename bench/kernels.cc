// What each kernel family costs in a typical shape, and what a step costs that does next to nothing
// (Google Benchmark). A row is one step between others that feed it; its time is the executor's own
// profile of the step. Counters: bytes_per_second of operands and results, and for families that
// multiply GOPS (a multiply-add is 2 operations) and share, of the measured VNNI peak of one core.
//   ./dev bench kernels [--benchmark_filter=...]
#include <benchmark/benchmark.h>

#include <string>
#include <utility>
#include <vector>

#include "fmt/format.h"
#include "fxq/base/check.h"
#include "fxq/runtime/executor.h"
#include "fxq/tests/runtime/program_builder.h"
#include "int8_peak.h"

namespace fxq {
namespace {

using testing::Attrs;
using Dims = std::vector<int64_t>;

// One measured step. Its operands are quantized from float inputs of the given shapes.
struct Case {
  std::string label;
  std::string kernel;
  std::vector<Dims> operands;
  Attrs attrs;
  std::vector<HostTensor> constants = {};  // inputs after the operands
  DType from = DType::kU8, to = DType::kU8;
  int outputs = 1;
  double macs = 0;
};

const Dims kMap = {1, 64, 56, 56};

HostTensor filled(DType dtype, const Dims& dims, double value) {
  HostTensor tensor(dtype, dims);
  if (dtype == DType::kF32) {
    for (float& item : tensor.mutable_data<float>()) item = static_cast<float>(value);
  } else if (dtype == DType::kI8) {
    int item = 0;
    for (int8_t& weight : tensor.mutable_data<int8_t>()) {
      item = (item * 37 + 11) % 251;
      weight = static_cast<int8_t>(item - 125);
    }
  }
  return tensor;
}

std::vector<HostTensor> weights(const Dims& dims, int64_t out) {
  return {filled(DType::kI8, dims, 0), filled(DType::kF32, {out}, 0.003),
          filled(DType::kI32, {out}, 0)};
}

Case convolution(std::string label, Dims x, int64_t out, int64_t kernel, int64_t groups) {
  const int64_t pad = kernel / 2;
  const Attrs attrs = {{"stride", Dims{1, 1}},
                       {"padding", Dims{pad, pad}},
                       {"groups", groups},
                       {"dtype", "u8"},
                       {"activation", "relu"}};
  const Dims w = {out, x[1] / groups, kernel, kernel};
  const double macs = static_cast<double>(x[2] * x[3] * out * w[1] * kernel * kernel);
  return {std::move(label),
          "Conv",
          {std::move(x)},
          attrs,
          weights(w, out),
          DType::kU8,
          DType::kU8,
          1,
          macs};
}

std::vector<Case> weighted_cases() {
  Case deconv{"u-net 64 -> 32 k2 s2",
              "ConvTranspose",
              {kMap},
              {{"stride", Dims{2, 2}}, {"padding", Dims{0, 0}}, {"dtype", "u8"}},
              weights({64, 32, 2, 2}, 32)};
  deconv.macs = 56.0 * 56 * 64 * 32 * 4;
  Case linear{"512 -> 1000", "Linear", {{1, 512}}, {{"dtype", "u8"}}, weights({1000, 512}, 1000)};
  linear.macs = 512.0 * 1000;
  Case rows{
      "197 x 768 -> 768", "Linear", {{1, 197, 768}}, {{"dtype", "u8"}}, weights({768, 768}, 768)};
  rows.macs = 197.0 * 768 * 768;
  return {convolution("3x3", kMap, 64, 3, 1),
          convolution("1x1", {1, 256, 28, 28}, 256, 1, 1),
          convolution("grouped 3x3", kMap, 64, 3, 8),
          convolution("depthwise 3x3", {1, 192, 28, 28}, 192, 3, 192),
          convolution("depthwise 5x5", {1, 192, 28, 28}, 192, 5, 192),
          deconv,
          linear,
          rows};
}

std::vector<Case> arithmetic_cases() {
  const Attrs scales = {{"scale_a", 0.05},
                        {"scale_b", 0.04},
                        {"scale_out", 0.08},
                        {"activation", "relu"},
                        {"dtype", "u8"}};
  const std::vector<HostTensor> affine = {filled(DType::kF32, {64}, 0.5),
                                          filled(DType::kF32, {64}, 3)};
  const Attrs rescale = {{"scale_in", 0.05}, {"scale_out", 0.07}, {"dtype", "u8"}};
  Attrs one_scale = {{"dim", int64_t{1}}, {"scale_out", 0.05}, {"dtype", "u8"}};
  Attrs two_scales = one_scale;
  one_scale["scales"] = std::vector<double>{0.05, 0.05};
  two_scales["scales"] = std::vector<double>{0.05, 0.04};
  HostTensor table(DType::kU8, {256});
  for (int i = 0; i < 256; ++i) table.mutable_data<uint8_t>()[i] = static_cast<uint8_t>(255 - i);
  return {{"same shape", "Add", {kMap, kMap}, scales},
          {"same shape", "Sub", {kMap, kMap}, scales},
          {"same shape", "Mul", {kMap, kMap}, scales},
          {"per channel", "Mul", {kMap, {1, 64, 1, 1}}, scales},
          {"channels, one scale", "Cat", {kMap, kMap}, one_scale},
          {"channels, two scales", "Cat", {kMap, kMap}, two_scales},
          {"u8 -> u8", "Requantize", {kMap}, rescale},
          {"i8", "Relu", {kMap}, {}, {}, DType::kI8, DType::kI8},
          {"u8", "Table", {kMap}, {{"dtype", "u8"}}, {table}},
          {"u8", "BatchNorm", {kMap}, {{"dtype", "u8"}}, affine},
          {"f32, 2 channels of 64 x 64",
           "Softmax",
           {{1, 2, 64, 64}},
           {{"dim", int64_t{1}}},
           {},
           DType::kF32,
           DType::kF32},
          {"f32, 12 x 197 x 197",
           "Softmax",
           {{1, 12, 197, 197}},
           {{"dim", int64_t{3}}},
           {},
           DType::kF32,
           DType::kF32}};
}

std::vector<Case> window_cases() {
  const Attrs window = {{"kernel_size", Dims{3}}, {"stride", Dims{2}}, {"padding", Dims{1}}};
  Attrs same = window;
  same["stride"] = Dims{1};
  same["scale_in"] = same["scale_out"] = 0.05;
  const Attrs mean = {{"dims", Dims{2, 3}}, {"scale_in", 0.05}, {"scale_out", 0.02}};
  const Attrs adaptive = {{"output_size", Dims{7}}, {"scale_in", 0.05}, {"scale_out", 0.02}};
  return {
      {"3x3 s2", "MaxPool", {kMap}, window},
      {"3x3 s1", "AvgPool", {kMap}, same},
      {"56 -> 7", "AdaptiveAvgPool", {kMap}, adaptive},
      {"over 56 x 56", "Mean", {kMap}, mean},
      {"x2", "UpsampleNearest", {kMap}, {{"scale_factors", std::vector<double>{2, 2}}}},
      {"x2",
       "UpsampleBilinear",
       {kMap},
       {{"scale_factors", std::vector<double>{2, 2}}, {"scale_in", 0.05}, {"scale_out", 0.05}}}};
}

std::vector<Case> move_cases() {
  return {{"to [1, 56, 56, 64]", "Permute", {kMap}, {{"dims", Dims{0, 2, 3, 1}}}},
          {"to rows", "Reshape", {kMap}, {{"shape", Dims{1, -1}}}},
          {"half of the channels",
           "Slice",
           {kMap},
           {{"dim", int64_t{1}}, {"start", int64_t{0}}, {"end", int64_t{32}}}},
          {"2 groups", "ChannelShuffle", {kMap}, {{"groups", int64_t{2}}}},
          {"1 on each side", "Pad", {kMap}, {{"pad", Dims{1, 1, 1, 1}}}}};
}

// From floats and to floats.
std::vector<Case> end_cases() {
  const Dims picture = {1, 3, 224, 224};
  return {
      {"3 x 224 x 224",
       "Quantize",
       {picture},
       {{"scale", 0.05}, {"dtype", "u8"}},
       {},
       DType::kF32,
       DType::kU8},
      {"3 x 224 x 224", "Dequantize", {picture}, {{"scale", 0.1}}, {}, DType::kU8, DType::kF32}};
}

struct OneStep {
  Program program;
  std::string name;  // of the measured step
};

OneStep program_of(const Case& c) {
  testing::ProgramBuilder b;
  std::vector<ValueId> ids;
  for (const Dims& dims : c.operands) {
    const auto name = fmt::format("x{}", ids.size());
    ids.push_back(b.input(name, DType::kF32, static_cast<int>(dims.size())));
    if (c.from == DType::kF32) continue;
    const Attrs attrs = {{"scale", 0.05}, {"dtype", std::string(dtype_name(c.from))}};
    ids.back() = b.step("Quantize", {ids.back()}, attrs, c.from);
  }
  for (const HostTensor& tensor : c.constants) {
    ids.push_back(b.constant(fmt::format("c{}", ids.size()), tensor));
  }
  ValueId last = b.step(c.kernel, ids, c.attrs, c.to);
  std::string name = b.program().steps.back().name;
  if (c.to != DType::kF32) last = b.step("Dequantize", {last}, {{"scale", 0.1}}, DType::kF32);
  return {b.output({last}), std::move(name)};
}

// Seconds of all calls so far of the step of this name.
const StepProfile& measured(const std::vector<StepProfile>& steps, const std::string& name) {
  for (const StepProfile& step : steps) {
    if (step.name == name) return step;
  }
  FXQ_CHECK(false, "no step " + name);
  return steps.front();
}

std::vector<HostTensor> inputs_of(const Case& c) {
  std::vector<HostTensor> inputs;
  for (const Dims& dims : c.operands) {
    HostTensor tensor(DType::kF32, dims);
    float value = 0;
    for (float& item : tensor.mutable_data<float>()) item = value = value > 9 ? -2 : value + 0.37F;
    inputs.push_back(tensor);
  }
  return inputs;
}

std::unique_ptr<Executor> executor_for(Program program) {
  ExecutorOptions options;
  options.profile = true;
  auto executor = Executor::create(std::move(program), options);
  FXQ_CHECK(executor.ok(), executor.status().ToString());
  return *std::move(executor);
}

int64_t bytes_moved(const Case& c, const HostTensor& result) {
  int64_t bytes = result.numel() * static_cast<int64_t>(dtype_size(c.to));
  for (const Dims& dims : c.operands) {
    bytes += static_cast<int64_t>(HostTensor(c.from, dims).byte_size());
  }
  for (const HostTensor& tensor : c.constants) bytes += static_cast<int64_t>(tensor.byte_size());
  return bytes;
}

void BM_Kernel(benchmark::State& state, const Case& c) {
  const OneStep one = program_of(c);
  const auto executor = executor_for(one.program);
  const std::vector<HostTensor> inputs = inputs_of(c);
  const auto first = executor->run(inputs);
  FXQ_CHECK(first.ok(), first.status().ToString());
  double before = measured(executor->profile(), one.name).seconds;
  const double begin = before;
  for (auto _ : state) {
    executor->run(inputs).IgnoreError();
    const double now = measured(executor->profile(), one.name).seconds;
    state.SetIterationTime(now - before);
    before = now;
  }
  state.SetBytesProcessed(state.iterations() * bytes_moved(c, first->front()));
  state.SetLabel(measured(executor->profile(), one.name).implementation);
  if (c.macs == 0) return;
  const double gops = 2e-9 * c.macs * static_cast<double>(state.iterations()) / (before - begin);
  static const double peak = vnni_gops();
  state.counters["GOPS"] = gops;
  if (peak > 0) state.counters["share"] = gops / peak;
}

// A long chain of steps on 16 bytes: what the executor adds to each step.
void BM_StepOverhead(benchmark::State& state) {
  const auto length = static_cast<int>(state.range(0));
  testing::ProgramBuilder b;
  ValueId last = b.input("x", DType::kI8, 4);
  for (int i = 0; i < length; ++i) last = b.step("Relu", {last}, {}, DType::kI8);
  auto executor = Executor::create(b.output({last}));
  FXQ_CHECK(executor.ok(), executor.status().ToString());
  const std::vector<HostTensor> inputs = {HostTensor(DType::kI8, {1, 16, 1, 1})};
  for (auto _ : state) (*executor)->run(inputs).IgnoreError();
  state.counters["per_step"] = benchmark::Counter(
      length, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void add(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    auto row = [c](benchmark::State& state) { BM_Kernel(state, c); };
    benchmark::RegisterBenchmark(fmt::format("{}/{}", c.kernel, c.label).c_str(), row)
        ->UseManualTime()
        ->Unit(benchmark::kMicrosecond);
  }
}

}  // namespace
}  // namespace fxq

int main(int count, char** arguments) {
  fxq::add(fxq::weighted_cases());
  fxq::add(fxq::arithmetic_cases());
  fxq::add(fxq::window_cases());
  fxq::add(fxq::move_cases());
  fxq::add(fxq::end_cases());
  benchmark::RegisterBenchmark("StepOverhead", fxq::BM_StepOverhead)->Arg(1000);
  benchmark::Initialize(&count, arguments);
  if (benchmark::ReportUnrecognizedArguments(count, arguments)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
