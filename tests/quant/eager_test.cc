// set_qconfig, prepare_calibration, prepare_qat, convert: the eager way, without fusion of its own.
#include "fxq/quant/eager.h"

#include <ATen/ops/equal.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fxq/graph/op_module.h"
#include "fxq/graph/text.h"
#include "fxq/quant/fake_quantize.h"
#include "fxq/quant/fuse_modules.h"
#include "nets.h"

namespace fxq {
namespace {

using quant_test::graph_text;
using quant_test::kConvReluLinear;
using quant_test::net;
using quant_test::random;
using ::testing::HasSubstr;
using ::testing::Not;

GraphModule with_qconfig(std::optional<QConfig> fc = get_default_qat_qconfig().value()) {
  GraphModule gm = net(kConvReluLinear);
  EXPECT_TRUE(set_qconfig(gm, "", *get_default_qat_qconfig()).ok());
  EXPECT_TRUE(set_qconfig(gm, "fc", fc).ok());
  return gm;
}

TEST(EagerTest, PreparesWithoutFusing) {
  auto model = prepare_qat(with_qconfig());
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_TRUE(model->graph_module().is_training());
  EXPECT_THAT(graph_text(model->graph_module()), HasSubstr("%conv = fq_conv2d @conv(%x_fq)"));
  ASSERT_TRUE(model->forward({random({2, 3, 8, 8})}).ok());
  auto quantized = convert(*model);
  ASSERT_TRUE(quantized.ok()) << quantized.status();
  EXPECT_EQ(quantized->graph_module().settings.count(kModuleQConfigSetting), 0);
  EXPECT_TRUE(quantized->forward({random({2, 3, 8, 8})}).ok());
}

TEST(EagerTest, TheModulesOwnQConfigDecides) {
  auto model = prepare_calibration(with_qconfig(std::nullopt));
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->report.find("fc")->code, "E002");
  EXPECT_EQ(model->report.find("conv")->mode, OpMode::kInt8);
  // Above the dict of prepare_*_fx too.
  QConfigDict dict;
  dict.global = *get_default_calib_qconfig();
  dict.module_name = {{"fc", *get_default_calib_qconfig()}};
  const auto fx = prepare_calibration_fx(with_qconfig(std::nullopt), dict);
  ASSERT_TRUE(fx.ok()) << fx.status();
  EXPECT_EQ(fx->report.find("fc")->code, "E002");
}

TEST(EagerTest, QConfigsTravelAsText) {
  const GraphModule gm = with_qconfig(std::nullopt);
  auto again = parse_text(print_text(gm));
  ASSERT_TRUE(again.ok()) << again.status();
  const auto entries = qconfigs_of(*again);
  ASSERT_TRUE(entries.ok()) << entries.status();
  ASSERT_EQ(entries->size(), 2);
  EXPECT_EQ((*entries)[0].second, get_default_qat_qconfig().value());
  EXPECT_FALSE((*entries)[1].second.has_value());
}

TEST(EagerTest, InplaceTrainsTheModelsOwnTensors) {
  const GraphModule gm = with_qconfig();
  for (const bool inplace : {false, true}) {
    EagerOptions options;
    options.inplace = inplace;
    auto model = prepare_qat(gm, options);
    ASSERT_TRUE(model.ok()) << model.status();
    const auto mine = gm.parameters(), theirs = model->graph_module().parameters();
    ASSERT_EQ(mine.size(), theirs.size());
    for (size_t i = 0; i < mine.size(); ++i) {
      EXPECT_EQ(mine[i].data_ptr() == theirs[i].data_ptr(), inplace);
    }
  }
}

TEST(EagerTest, MappingSwapsByClass) {
  GraphModule gm = net(kConvReluLinear);
  ASSERT_TRUE(set_qconfig(gm, "", *get_default_qat_qconfig()).ok());
  EagerOptions options;
  options.mapping["linear"] =
      [](const LeafModule& from) -> absl::StatusOr<std::shared_ptr<LeafModule>> {
    auto op = std::dynamic_pointer_cast<OpModule>(from.clone_leaf());
    op->set_tensor("bias", op->tensor("bias").detach() + 100);
    return op;
  };
  auto model = prepare_qat(gm, options);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_GT(model->forward({random({2, 3, 8, 8})})->toTensor().min().item<float>(), 50);
  options.mapping["linear"] = [](const LeafModule&) -> absl::StatusOr<std::shared_ptr<LeafModule>> {
    return absl::InvalidArgumentError("not this one");
  };
  EXPECT_THAT(std::string(prepare_qat(gm, options).status().message()),
              HasSubstr("the mapping of linear at 'fc': not this one"));
}

TEST(EagerTest, SaysWhatIsMissing) {
  GraphModule gm = net(kConvReluLinear);
  EXPECT_EQ(prepare_qat(gm).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(set_qconfig(gm, "cnov", std::nullopt).message()), HasSubstr("conv"));
}

// selu runs on the CPU of every march; %stub tells whether the user put a QuantStub behind it.
GraphModule hybrid_net(bool stub) {
  GraphModule gm = net(std::string(R"(
module @conv0 = conv2d(weight: f32[4,4,1,1], bias: f32[4])
module @conv1 = conv2d(weight: f32[4,4,1,1], bias: f32[4])
state * = normal(3, 0.5)
graph (%x: f32[1,4,8,8]) {
  %quant = quant_stub(%x) : f32[1,4,8,8]
  %conv0 = conv2d @conv0(%quant) : f32[1,4,8,8]
  %selu = selu(%conv0) : f32[1,4,8,8]
)") + (stub ? "  %again = quant_stub(%selu) : f32[1,4,8,8]\n" : "") +
                       "  %conv1 = conv2d @conv1(" + (stub ? "%again" : "%selu") +
                       ") : f32[1,4,8,8]\n  return %conv1\n}\n");
  EXPECT_TRUE(set_qconfig(gm, "", *get_default_qat_qconfig()).ok());
  return gm;
}

TEST(EagerTest, HybridInsertsNothingAndNamesWhatLacksAStub) {
  EagerOptions options;
  options.hybrid = true;
  options.march = March::BERNOULLI2;
  for (const auto prepare : {prepare_qat, prepare_calibration}) {
    const absl::Status refused = prepare(hybrid_net(false), options).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(refused.message()), HasSubstr("%conv1 (conv2d) reads %selu (selu)"));
    EXPECT_THAT(std::string(refused.message()), Not(HasSubstr("%conv0")));
  }
  auto model = prepare_qat(hybrid_net(true), options);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->graph_module().graph().find("selu")->device, "CPU");
  EXPECT_EQ(model->graph_module().graph().find("conv1")->device, "BPU");
  EXPECT_TRUE(model->forward({random({1, 4, 8, 8})}).ok());
  options.march = March::CPU;
  EXPECT_EQ(prepare_qat(hybrid_net(true), options).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace fxq
