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
