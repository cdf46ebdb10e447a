// Which entry of a qconfig_dict reaches a fused op, whoever fused it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

#include "fxq/graph/artifact.h"
#include "fxq/graph/text.h"
#include "fxq/quant/fuse_fx.h"
#include "fxq/quant/prepare_fx.h"
#include "fxq/quant/qconfig_json.h"
#include "fxq/quant/qconfig_resolver.h"
#include "nets.h"

namespace fxq {
namespace {

using quant_test::net;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// conv, bn, relu and dropout are modules of a Block; the second relu is a function in its code.
constexpr const char* kBlock = R"(
module @layer.conv = conv2d(weight: f32[4,3,1,1], bias: none) {class="nn.Conv2d"}
module @layer.bn = batch_norm(weight: f32[4], bias: f32[4], running_mean: f32[4], running_var: f32[4], momentum=0.1, eps=1e-05, cudnn_enabled=true) {class="nn.BatchNorm2d"}
module @layer.relu = relu() {class="nn.ReLU"}
module @layer.drop = dropout(p=0.5) {class="nn.Dropout"}
module @last = conv2d(weight: f32[4,4,1,1], bias: none) {class="nn.Conv2d"}
state * = normal(7)
state @layer.bn.running_var = uniform(8, 0.5, 2.0)
graph (%x: f32[2,3,8,8]) {
  %conv = conv2d @layer.conv(%x) : f32[2,4,8,8] {owner="layer", class="Block"}
  %bn = batch_norm @layer.bn(%conv) : f32[2,4,8,8] {owner="layer", class="Block"}
  %r = relu @layer.relu(%bn) : f32[2,4,8,8] {owner="layer", class="Block"}
  %d = dropout @layer.drop(%r) : f32[2,4,8,8] {owner="layer", class="Block"}
  %last = conv2d @last(%d) : f32[2,4,8,8] {owner="", class="Net"}
  %f = relu(%last) : f32[2,4,8,8] {owner="", class="Net"}
  return %f
}
)";

QConfigDict::Entries wide(const char* name) {
  return {{name, *get_default_calib_qconfig("qint16")}};
}

// Modes of the two fused ops, when prepare fuses; the same must come of a model that is fused.
std::pair<OpMode, OpMode> modes(QConfigDict dict, std::vector<std::string>* notes = nullptr) {
  dict.global = *get_default_calib_qconfig();
  const GraphModule model = net(kBlock);
  const auto observed = prepare_calibration_fx(model, dict);
  const auto fused = fuse_fx(model);
  const auto twice = prepare_calibration_fx(*fused, dict);
  EXPECT_TRUE(observed.ok()) << observed.status();
  EXPECT_TRUE(twice.ok()) << twice.status();
  if (!observed.ok() || !twice.ok()) return {};
  EXPECT_EQ(observed->report.to_string(), twice->report.to_string());
  if (notes) *notes = observed->report.notes;
  return {observed->report.find("r")->mode, observed->report.find("f")->mode};
}

const std::pair kBoth8(OpMode::kInt8, OpMode::kInt8);
const std::pair kFirst16(OpMode::kInt16, OpMode::kInt8);
const std::pair kFirstFloat(OpMode::kFloat, OpMode::kInt8);

TEST(FusedQConfigTest, TheLastMemberDecides) {
  QConfigDict dict;
  dict.module_name = wide("layer.relu");
  EXPECT_EQ(modes(dict), kFirst16);
  dict.module_name = {};
  dict.module_type = wide("ReLU");
  EXPECT_EQ(modes(dict), kFirst16);
  dict.module_type = wide("Block");
  EXPECT_EQ(modes(dict), kFirst16);
  dict.module_type = wide("Net");
  EXPECT_EQ(modes(dict), std::pair(OpMode::kInt16, OpMode::kInt16));
}

TEST(FusedQConfigTest, AFunctionIsNamedByTheModuleItWasFusedInto) {
  QConfigDict dict;
  dict.module_name = wide("last");
  EXPECT_EQ(modes(dict), std::pair(OpMode::kInt8, OpMode::kInt16));
}

TEST(FusedQConfigTest, AnInnerMembersEntryIsNamedWhenItDoesNothing) {
  QConfigDict dict;
  std::vector<std::string> notes;
  dict.module_name = wide("layer.conv");
  EXPECT_EQ(modes(dict, &notes), kBoth8);
  EXPECT_EQ(notes[0],
            "qconfig: module_name \"layer.conv\" does not decide about %r: a fused op has the "
            "qconfig of its last member, here named by 'layer.relu'");
  dict.module_name = {};
  dict.module_type = wide("Conv2d");
  EXPECT_EQ(modes(dict, &notes), kBoth8);
  EXPECT_THAT(notes[0], HasSubstr("%r (and 1 more)"));
}

// --int16 layer.conv left the op in int8.
TEST(FusedQConfigTest, AnyMemberReachesTheOpFromAnyOfItsModules) {
  for (const char* name : {"layer.conv", "layer.bn", "layer.relu", "layer"}) {
    QConfigDict dict;
    dict.any_member = wide(name);
    EXPECT_EQ(modes(dict), kFirst16) << name;
    dict.any_member.emplace_back("layer.conv", std::nullopt);
    EXPECT_EQ(modes(dict), kFirstFloat) << name;
  }
  QConfigDict all;
  all.any_member = wide("*");
  ASSERT_TRUE(expand_globs(net(kBlock), all).ok());
  EXPECT_EQ(modes(all), std::pair(OpMode::kInt16, OpMode::kInt16)) << "the root's relu too";
}

TEST(QConfigTest, WeightsHaveASign) {
  QatQConfigOptions options;
  options.weight_qkwargs = {{"dtype", "quint8"}};
  EXPECT_THAT(std::string(get_default_qat_qconfig(options).status().message()),
              HasSubstr("weights have a sign"));
  options.weight_qkwargs = {{"quant_min", 0}, {"quant_max", 127}};
  EXPECT_FALSE(get_default_qat_qconfig(options).ok());
  EXPECT_THAT(std::string(qconfig_dict_from_json(R"({"": {"weight_qkwargs": {"dtype": "quint8"}}})")
                              .status()
                              .message()),
              HasSubstr("weights have a sign"));
}

TEST(QConfigTest, UnsignedActivationsAreForTheCpu) {
  const auto qconfig = get_default_calib_qconfig("qint8", {{"dtype", "quint8"}});
  ASSERT_TRUE(qconfig.ok()) << qconfig.status();
  EXPECT_TRUE(allows_unsigned(*qconfig, March::CPU).ok());
  EXPECT_THAT(std::string(allows_unsigned(*qconfig, March::BAYES).status().message()),
              HasSubstr("quint8 are for March::CPU"));
}

TEST(FusedQConfigTest, ClassesAsPythonImportsThem) {
  const std::string text = kBlock;
  GraphModule model =
      net(std::regex_replace(text, std::regex("nn\\.ReLU"), "torch.nn.modules.activation.ReLU"));
  for (const char* name : {"torch.nn.ReLU", "ReLU", "torch.nn.modules.activation.ReLU"}) {
    QConfigDict dict;
    dict.global = *get_default_calib_qconfig();
    dict.module_type = wide(name);
    const auto observed = prepare_calibration_fx(model, dict);
    ASSERT_TRUE(observed.ok()) << observed.status();
    EXPECT_EQ(observed->report.find("r")->mode, OpMode::kInt16) << name;
  }
}

TEST(FusedQConfigTest, NullForAnInnerMemberKeepsTheGroupInFloat) {
  QConfigDict dict;
  for (const char* name : {"layer.conv", "layer.bn", "layer"}) {
    dict.module_name = {{name, std::nullopt}};
    EXPECT_EQ(modes(dict), kFirstFloat) << name;
  }
  dict.module_name = {{"layer.conv", std::nullopt}, wide("layer.relu")[0]};
  EXPECT_EQ(modes(dict), kFirst16);
  dict.module_name = {{"layer", std::nullopt}, wide("layer.relu")[0]};
  EXPECT_EQ(modes(dict), kFirst16);
}

TEST(FusedQConfigTest, RemovedModulesAreKnown) {
  QConfigDict dict;
  dict.module_name = {{"layer.drop", std::nullopt}};
  EXPECT_EQ(modes(dict), kBoth8);
  dict.module_name = {};
  dict.module_type = {{"Dropout", std::nullopt}};
  EXPECT_EQ(modes(dict), kBoth8);
}

TEST(FusedQConfigTest, TheRootsQConfigCoversAll) {
  QConfigDict dict;
  dict.module_qconfig = wide("");
  EXPECT_EQ(modes(dict), std::pair(OpMode::kInt16, OpMode::kInt16));
}

TEST(FusedQConfigTest, AFusedModelIsSavedWithItsMembers) {
  const auto fused = fuse_fx(net(kBlock));
  ASSERT_TRUE(fused.ok()) << fused.status();
  EXPECT_THAT(fused->graph().find("r")->origins, ElementsAre("conv", "bn", "r"));
  const std::string path = ::testing::TempDir() + "fxq_fused.fxq";
  ASSERT_TRUE(save(*fused, path).ok());
  const auto loaded = load(path);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  QConfigDict dict;
  dict.global = *get_default_calib_qconfig();
  dict.module_name = wide("layer.relu");
  const auto observed = prepare_calibration_fx(*loaded, dict);
  ASSERT_TRUE(observed.ok()) << observed.status();
  EXPECT_EQ(observed->report.find("r")->mode, OpMode::kInt16);
}

TEST(FusedQConfigTest, AFunctionThatBecameAModuleHasItsOwners) {
  const GraphModule model = net(R"(
parameter @w : f32[4,3]
state * = normal(7)
graph (%x: f32[2,3]) {
  %w = get_attr @w
  %y = linear(%x, %w) : f32[2,4] {owner="head", class="Head"}
  return %y
}
)");
  QConfigDict dict;
  dict.global = *get_default_calib_qconfig();
  for (const char* name : {"head", "head.linear"}) {
    dict.module_name = {{name, std::nullopt}};
    const auto observed = prepare_calibration_fx(*fuse_fx(model), dict);
    ASSERT_TRUE(observed.ok()) << observed.status();
    EXPECT_EQ(observed->report.find("y")->mode, OpMode::kFloat) << name;
  }
  dict.module_name = {};
  dict.module_type = {{"Head", std::nullopt}};
  EXPECT_EQ(prepare_calibration_fx(model, dict)->report.find("y")->code, "E002");
}

}  // namespace
}  // namespace fxq
