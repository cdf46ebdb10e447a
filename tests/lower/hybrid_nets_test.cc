// Real models, hybrid, on each BPU march: the integer graph follows the fake-quant graph op by op,
// and its program and its segments give the reference's bytes.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "fxq/quant/compare.h"
#include "fxq/quant/convert_fx.h"
#include "fxq/quant/first_difference.h"
#include "fxq/runtime/lower/aten_kernels.h"
#include "fxq/runtime/lower/lower.h"
#include "fxq/runtime/lower/segmented.h"
#include "quantized_net.h"

namespace fxq {
namespace {

class HybridNetsTest : public ::testing::TestWithParam<std::tuple<const char*, March>> {
 protected:
  static std::vector<int64_t> input_shape(const QuantizedGraph& model) {
    std::vector<int64_t> shape;
    for (const Dim& dim : *model.graph_module().graph().placeholders()[0]->type.dims) {
      shape.push_back(dim.size);
    }
    return shape;
  }

  static void expect_program(const QuantizedGraph& model) {
    auto program = lower(model.graph_module());
    ASSERT_TRUE(program.ok()) << program.status();
    ExecutorOptions options;
    AtenOptions aten;
    aten.allow_torchscript = true;
    options.provider = aten_kernels(aten);
    auto executor = Executor::create(*std::move(program), options);
    ASSERT_TRUE(executor.ok()) << executor.status();
    EXPECT_EQ(difference(model, **executor, {input_shape(model)}), "");
  }

  static void expect_segments(const QuantizedGraph& model, const at::Tensor& x) {
    SegmentedOptions options;
    options.allow_torchscript = true;
    auto segmented = SegmentedModel::create(model, options);
    ASSERT_TRUE(segmented.ok()) << segmented.status();
    const auto expected = model.forward({x});
    const auto actual = segmented->run({x});
    ASSERT_TRUE(actual.ok()) << actual.status();
    const auto wanted = flatten_tensors(*expected), got = flatten_tensors(*actual);
    ASSERT_EQ(wanted.size(), got.size());
    for (size_t i = 0; i < wanted.size(); ++i) {
      EXPECT_TRUE(at::equal(wanted[i], got[i])) << "output " << i;
    }
  }
};

TEST_P(HybridNetsTest, FakeQuantReferenceProgramAndSegmentsAgree) {
  const auto& [name, march] = GetParam();
  const std::string stem = std::string(FXQ_MODELS_DIR) + "/" + name;
  const FixtureNet net{stem + ".script.pt", stem + ".calib.npy"};
  if (!exists(net)) GTEST_SKIP() << "make the fixture models first";
  QuantizeNetOptions options;
  options.samples = 2;
  options.prepare.march = march;
  options.prepare.hybrid = true;
  auto observed = calibrate(net, options);
  ASSERT_TRUE(observed.ok()) << observed.status();
  const auto model = convert_fx(*observed);
  ASSERT_TRUE(model.ok()) << model.status();
  ASSERT_TRUE(set_fake_quantize(*observed, FakeQuantState::VALIDATION).ok());
  auto generator = at::make_generator<at::CPUGeneratorImpl>(3);
  const at::Tensor x = at::randn(input_shape(*model), generator);
  const auto found =
      first_difference(observed->graph_module(), model->graph_module(), {x}, /*allowed=*/1.0);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->node, "") << found->steps << " steps";
  expect_program(*model);
  expect_segments(*model, x);
}

constexpr const char* kNets[] = {
    "digits",         "onet",        "pnet",          "rnet",
    "unet",           "odd_branch",  "odd_control",   "odd_chunks",
    "odd_deconv",     "odd_encoder", "odd_heads",     "odd_attention",
    "odd_functional", "odd_inplace", "odd_kernels",   "odd_pools",
    "odd_pyramid",    "odd_resized", "odd_scalars",   "odd_se",
    "odd_shared",     "odd_shuffle", "odd_upsamples", "mobilenet_v3_large",
    "efficientnet_b0"};

INSTANTIATE_TEST_SUITE_P(All, HybridNetsTest,
                         ::testing::Combine(::testing::ValuesIn(kNets),
                                            ::testing::Values(March::BERNOULLI2, March::BAYES)),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param)) + "_" +
                                  std::string(march_name(std::get<1>(info.param)));
                         });

}  // namespace
}  // namespace fxq
