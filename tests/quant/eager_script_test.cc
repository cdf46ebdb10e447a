// The eager functions on a loaded TorchScript module: the same as on its graph.
#include "fxq/quant/eager_script.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/randn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/api/module.h>

#include "fxq/graph/op_module.h"
#include "fxq/graph/text.h"
#include "fxq/quant/convert_fx.h"

namespace fxq {
namespace {

using ::testing::HasSubstr;

torch::jit::Module digits() {
  auto module = load_script_module(std::string(FXQ_MODELS_DIR) + "/digits.script.pt");
  EXPECT_TRUE(module.ok()) << module.status();
  return *module;
}

std::string message(const absl::Status& status) { return std::string(status.message()); }

TEST(EagerScriptTest, FusesByThePathsOfTheModule) {
  const torch::jit::Module module = digits();
  const auto fused = fuse_modules(module, {{"conv", "bn"}, {"layer1.conv1", "layer1.bn1"}});
  ASSERT_TRUE(fused.ok()) << fused.status();
  const auto same = fuse_modules(*trace(module), {{"conv", "bn"}, {"layer1.conv1", "layer1.bn1"}});
  EXPECT_EQ(print_text(*fused), print_text(*same));
  const at::Tensor x = at::randn({2, 1, 8, 8});
  torch::jit::Module original = module;
  EXPECT_TRUE(
      at::allclose(fused->forward({x})->toTensor(), original.forward({x}).toTensor(), 1e-3, 1e-4));
  EXPECT_TRUE(fuse_modules(module, {"conv", "bn"}).ok());
  EXPECT_THAT(message(fuse_modules(module, {"conv", "bm"}).status()), HasSubstr("bm"));
}

TEST(EagerScriptTest, FusesAListOfModules) {
  const torch::jit::Module module = digits();
  const std::vector<torch::jit::Module> list{module.attr("conv").toModule(),
                                             module.attr("bn").toModule()};
  const auto fused = fuse_known_modules(list);
  ASSERT_TRUE(fused.ok()) << fused.status();
  ASSERT_EQ(fused->size(), 2);
  const at::Tensor x = at::randn({2, 1, 8, 8});
  const at::Tensor y = (*fused)[1]->call("forward", {(*fused)[0]->call("forward", {x})}).toTensor();
  auto conv = list[0], bn = list[1];
  EXPECT_TRUE(at::allclose(y, bn.forward({conv.forward({x})}).toTensor(), 1e-3, 1e-4));
}

torch::jit::Module written(const std::string& name, const std::string& code) {
  torch::jit::Module module(name);
  module.define(code);
  return module;
}

// It took the first leaf of each and dropped what came behind it.
TEST(EagerScriptTest, AModuleOfSeveralOpsIsNotFusedAsItsFirst) {
  const torch::jit::Module net = digits();
  torch::jit::Module pair("Pair");
  pair.register_module("conv", net.attr("conv").toModule());
  pair.register_module("bn", net.attr("bn").toModule());
  pair.define("def forward(self, x):\n  return self.bn.forward(self.conv.forward(x))\n");
  const auto relu = written("Relu", "def forward(self, x):\n  return torch.relu(x)\n");
  const auto fused = fuse_known_modules(std::vector<torch::jit::Module>{pair, relu});
  EXPECT_EQ(fused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(message(fused.status()), HasSubstr("Pair calls m_conv (m.conv), m_bn (m.bn)"));
  const torch::jit::Module conv = net.attr("conv").toModule();
  for (const char* code :
       {"def forward(self, x):\n  return torch.leaky_relu(x, 0.3)\n",
        "def forward(self, x):\n  return x\n", "def add(self, x, y):\n  return torch.add(x, x)\n",
        "def add(self, x, y):\n  return torch.add(x, y, alpha=2)\n"}) {
    const auto refused =
        fuse_known_modules(std::vector<torch::jit::Module>{conv, written("Other", code)});
    EXPECT_THAT(message(refused.status()), HasSubstr("wants modules of one op")) << code;
  }
}

TEST(EagerScriptTest, FusesAFloatFunctionalThatAdds) {
  torch::jit::Module adds("FloatFunctional");
  adds.register_module(
      "activation_post_process",
      written("__torch__.torch.nn.modules.linear.Identity", "def forward(self, x):\n  return x\n"));
  adds.define(
      "def add(self, x, y):\n"
      "  return self.activation_post_process.forward(torch.add(x, y))\n");
  const torch::jit::Module conv = digits().attr("conv").toModule();
  const auto fused = fuse_known_modules(std::vector<torch::jit::Module>{conv, adds});
  ASSERT_TRUE(fused.ok()) << fused.status();
  const at::Tensor x = at::randn({2, 1, 8, 8});
  torch::jit::Module alone = conv;
  const at::Tensor y = alone.forward({x}).toTensor();
  EXPECT_TRUE(at::allclose((*fused)[0]->call("forward", {x, y}).toTensor(), y + y));
}

TEST(EagerScriptTest, PreparesAndConverts) {
  const torch::jit::Module module = digits();
  const at::Tensor x = at::randn({2, 1, 8, 8});
  auto observed = prepare_calibration(module, {{"", *get_default_calib_qconfig()}});
  ASSERT_TRUE(observed.ok()) << observed.status();
  ASSERT_TRUE(observed->forward({x}).ok());
  EXPECT_TRUE(convert(*observed).ok());
  auto training = prepare_qat(module, {{"", *get_default_qat_qconfig()}, {"fc", std::nullopt}});
  ASSERT_TRUE(training.ok()) << training.status();
  ASSERT_TRUE(training->forward({x}).ok());
  EXPECT_TRUE(training->graph_module().is_training());
  EXPECT_FALSE(module.is_training()) << "the caller's module stays as it is";
  EXPECT_THAT(message(prepare_qat(module, {}).status()), HasSubstr("no module has a qconfig"));
  EXPECT_THAT(message(prepare_qat(module, {{"fd", std::nullopt}}).status()), HasSubstr("\"fc\""));
}

TEST(EagerScriptTest, ConvertSwapsModulesOfItsMapping) {
  EagerConvertOptions options;
  EXPECT_EQ(convert(digits(), options).status().code(), absl::StatusCode::kFailedPrecondition);
  options.mapping["Linear"] =
      [](const LeafModule& from) -> absl::StatusOr<std::shared_ptr<LeafModule>> {
    auto copy = from.clone_leaf();
    for (const auto& [name, tensor] : from.tensors()) copy->set_tensor(name, tensor * 0);
    return copy;
  };
  const auto swapped = convert(digits(), options);
  ASSERT_TRUE(swapped.ok()) << swapped.status();
  EXPECT_TRUE(swapped->forward({at::randn({2, 1, 8, 8})})->toTensor().eq(0).all().item<bool>());
}

}  // namespace
}  // namespace fxq
