// What a quantized model remembers, and what files of other times say.
#include "fxq/quant/provenance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "nets.h"

namespace fxq {
namespace {

using quant_test::kConvReluLinear;
using quant_test::quantize_net;
using quant_test::Stages;
using quant_test::StagesOptions;
using ::testing::HasSubstr;

class ProvenanceTest : public ::testing::Test {
 protected:
  std::string path_ = ::testing::TempDir() + "fxq_provenance.fxq";
  void TearDown() override { std::filesystem::remove(path_); }
};

TEST_F(ProvenanceTest, TravelsThroughAFile) {
  const Stages stages = quantize_net(kConvReluLinear);
  const auto model = QuantizedGraph::from_graph_module(stages.quantized.copy());
  ASSERT_TRUE(save(*model, path_).ok());
  const auto loaded = load_quantized(path_);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const auto& settings = loaded->graph_module().settings;
  EXPECT_EQ(settings.at(kQuantFormatSetting), "1");
  EXPECT_EQ(settings.at("march"), "CPU");
  EXPECT_THAT(settings.at(kVersionSetting), HasSubstr("."));
  EXPECT_THAT(settings.at(kQConfigsSetting), HasSubstr("MseObserver"));
  EXPECT_EQ(settings.at(kCalibrationSetting).size(), 16);
}

TEST_F(ProvenanceTest, FingerprintIsOfTheCalibration) {
  const std::string one = quantize_net(kConvReluLinear).quantized.settings.at(kCalibrationSetting);
  EXPECT_EQ(quantize_net(kConvReluLinear).quantized.settings.at(kCalibrationSetting), one);
  StagesOptions fewer;
  fewer.batches = 1;
  EXPECT_NE(quantize_net(kConvReluLinear, fewer).quantized.settings.at(kCalibrationSetting), one);
}

TEST_F(ProvenanceTest, OldFilesLoadAndNewerOnesSayWhatToDo) {
  const Stages stages = quantize_net(kConvReluLinear);
  GraphModule old = stages.quantized.copy();
  for (const char* key : {kQuantFormatSetting, kVersionSetting, kTorchSetting, kQConfigsSetting,
                          kCalibrationSetting}) {
    old.settings.erase(key);
  }
  EXPECT_TRUE(QuantizedGraph::from_graph_module(std::move(old)).ok());
  GraphModule newer = stages.quantized.copy();
  newer.settings[kQuantFormatSetting] = "2";
  newer.settings[kVersionSetting] = "9.0.0";
  const auto refused = QuantizedGraph::from_graph_module(std::move(newer));
  EXPECT_THAT(std::string(refused.status().message()),
              HasSubstr("quantized by fxq 9.0.0 in form 2; this build reads up to form 1"));
}

}  // namespace
}  // namespace fxq
