// Graph -> TorchScript -> file -> LibTorch: the same results as the model that was captured.
#include "fxq/graph/to_torchscript.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import.h>

#include <filesystem>
#include <sstream>

#include "fxq/data/npy.h"
#include "fxq/graph/tensor_convert.h"
#include "fxq/graph/text.h"
#include "script_source.h"

namespace fxq {
namespace {

using ::testing::HasSubstr;

torch::jit::Module through_a_file(const torch::jit::Module& module) {
  std::stringstream file;
  module.save(file);
  return torch::jit::load(file);
}

void expect_same(torch::jit::Module original, torch::jit::Module written,
                 const std::vector<c10::IValue>& inputs) {
  at::NoGradGuard no_grad;
  std::vector<c10::IValue> copies;
  for (const c10::IValue& input : inputs) copies.push_back(input.deepcopy());
  at::manual_seed(1);
  const std::vector<at::Tensor> expected = tensors_in(original.forward(inputs));
  at::manual_seed(1);
  const std::vector<at::Tensor> actual = tensors_in(written.forward(copies));
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    EXPECT_TRUE(at::equal(actual[i], expected[i])) << "output " << i;
  }
}

// The large ones have no op of their own.
std::vector<std::filesystem::path> fixtures() {
  std::vector<std::filesystem::path> paths;
  if (!std::filesystem::exists(FXQ_MODELS_DIR)) return paths;
  for (const auto& entry : std::filesystem::directory_iterator(FXQ_MODELS_DIR)) {
    const bool small = entry.file_size() < 30'000'000;
    if (small && entry.path().extension() == ".pt") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

// "resnet18.script.pt" -> resnet18.input.npy, or .input.0.npy, .input.1.npy, ...
std::vector<c10::IValue> inputs_of(const std::filesystem::path& model) {
  const std::string name = model.stem().stem().string();
  const std::filesystem::path folder = model.parent_path();
  std::vector<c10::IValue> inputs;
  for (const std::string& suffix : {std::string(), std::string(".0"), std::string(".1")}) {
    auto tensor = read_npy((folder / (name + ".input" + suffix + ".npy")).string());
    if (tensor.ok()) inputs.emplace_back(to_at_tensor(*tensor));
  }
  return inputs;
}

TEST(ToTorchScript, FixturesComeBack) {
  if (fixtures().empty()) GTEST_SKIP() << "no fixture models";
  const torch::jit::GraphOptimizerEnabledGuard off(false);  // compiling takes longer than one run
  for (const std::filesystem::path& path : fixtures()) {
    SCOPED_TRACE(path.filename().string());
    auto module = load_script_module(path.string());
    ASSERT_TRUE(module.ok()) << module.status();
    module->eval();
    auto gm = trace(*module);
    ASSERT_TRUE(gm.ok()) << gm.status();
    auto written = to_torchscript(*gm);
    ASSERT_TRUE(written.ok()) << written.status();
    expect_same(*module, through_a_file(*written), inputs_of(path));
  }
}

// "Loop ... cannot be printed": TorchScript writes `for` and `while` only.
TEST(ToTorchScript, LoopsWithBreakAndContinueAreSaved) {
  const auto module = script_module(R"(
def forward(self, x):
    y = x
    for i in range(6):
        if bool(y.sum() > 40.0):
            break
        y = y + i
    j = 0
    while j < 9 and bool(y.mean() < 50.0):
        j += 1
        if j % 2 == 0:
            continue
        y = y * 2
    k = 0
    while True:
        k += 1
        if k > 2 and bool(y.max() > 9.0):
            break
        y = y + k
    return y, j, k
)");
  auto gm = trace(module);
  ASSERT_TRUE(gm.ok()) << gm.status();
  auto written = to_torchscript(*gm);
  ASSERT_TRUE(written.ok()) << written.status();
  for (const double x : {0.0, 3.0, 30.0, 300.0}) {
    expect_same(module, through_a_file(*written), {at::full({2, 3}, x)});
    expect_equal_results(module, *gm, {at::full({2, 3}, x)});
  }
}

TEST(ToTorchScript, ParametersKeepTheirPathsAndTrain) {
  const auto module = script_module(R"(
def forward(self, x):
    return torch.mm(x, self.m.t()) + self.c
)");
  for (const char* name : {"m", "c"}) module.attr(name).toTensor().requires_grad_();
  auto gm = trace(module);
  ASSERT_TRUE(gm.ok()) << gm.status();
  auto written = to_torchscript(*gm);
  ASSERT_TRUE(written.ok()) << written.status();
  std::vector<std::string> names;
  for (const auto& entry : written->named_parameters()) names.push_back(entry.name);
  EXPECT_THAT(names, ::testing::UnorderedElementsAre("m", "c"));
  expect_same(module, *written, {at::randn({2, 3})});
}

TEST(ToTorchScript, ItemsOfTuples) {
  const auto last = parse_text("graph (%x: (tensor, tensor)) { %a = getitem(%x, -1) return %a }");
  ASSERT_TRUE(last.ok()) << last.status();
  auto written = to_torchscript(*last);
  ASSERT_TRUE(written.ok()) << written.status();
  const auto pair = c10::ivalue::Tuple::create({at::zeros({1}), at::ones({1})});
  EXPECT_TRUE(at::equal(written->forward({pair}).toTensor(), at::ones({1})));
  for (const char* index : {"2", "%i", "\"a\""}) {
    const auto bad = parse_text("graph (%x: (tensor, tensor), %i: int) { %a = getitem(%x, " +
                                std::string(index) + ") return %a }");
    ASSERT_TRUE(bad.ok()) << bad.status();
    EXPECT_THAT(std::string(to_torchscript(*bad).status().message()), HasSubstr("of 2 items"));
  }
}

TEST(ToTorchScript, SaysWhichNodesItCannotWriteAndWhatTakesThem) {
  const auto gm = parse_text(
      "graph (%x: f32[2]) { %q = quantize(%x) : i8[2] q(0.1) %d = dequantize(%q) return %d }");
  ASSERT_TRUE(gm.ok()) << gm.status();
  const absl::Status status = to_torchscript(*gm).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(status.message()),
              ::testing::AllOf(HasSubstr("%q"), HasSubstr(".fxq"), HasSubstr("ONNX")));
}

TEST(ToTorchScript, EffectsStateAndContainers) {
  auto module = script_module("def unused(self, x):\n    return x\n");
  module.register_attribute("calls", c10::IntType::get(), 2);
  module.define(R"(
def forward(self, x):
    self.calls += 1
    ys = [x, x + self.calls]
    if bool(x.sum() > 0):
        ys.append(x * 2.0)
    d = {"a": x, "b": torch.cat(ys)}
    x[0] = 5.0
    first, second = torch.chunk(d["b"], 2)
    return {"x": x + self.count, "y": first, "z": second}, len(ys)
)");
  auto gm = trace(module);
  ASSERT_TRUE(gm.ok()) << gm.status();
  auto written = to_torchscript(*gm);
  ASSERT_TRUE(written.ok()) << written.status();
  torch::jit::Module loaded = through_a_file(*written);
  torch::jit::Module original = module.deepcopy();
  for (const double sign : {1.0, -1.0}) {
    expect_same(original, loaded, {at::ones({2, 3}) * sign});
  }
}

}  // namespace
}  // namespace fxq
