// Nets with one known defect: the comparison must show where it is and what it is.
#include "fxq/quant/layer_errors.h"

#include <ATen/ops/ones.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fxq/graph/op_module.h"
#include "fxq/quant/fake_quantize.h"
#include "fxq/quant/fuse_fx.h"
#include "fxq/quant/qconfig_json.h"
#include "fxq/quant/sensitivity.h"
#include "nets.h"

namespace fxq {
namespace {

using quant_test::net;
using quant_test::random;

constexpr const char* kThree = R"(
module @a = conv2d(weight: f32[8,3,3,3], bias: f32[8], stride=[1,1], padding=[1,1])
module @b = conv2d(weight: f32[8,8,3,3], bias: f32[8], stride=[1,1], padding=[1,1])
module @c = conv2d(weight: f32[8,8,3,3], bias: f32[8], stride=[1,1], padding=[1,1])
state * = normal(1, 0.2)
graph (%x: f32[2,3,8,8]) {
  %a = conv2d @a(%x) : f32[2,8,8,8]
  %b = conv2d @b(%a) : f32[2,8,8,8]
  %c = conv2d @c(%b) : f32[2,8,8,8]
  return %c
}
)";

struct Compared {
  std::map<std::string, LayerError> errors;
  std::vector<LayerSensitivity> ranking;
};

Compared compare(const GraphModule& model, const QConfigDict& dict) {
  const auto fused = fuse_fx(model);
  const auto observed = prepare_calibration_fx(*fused, dict);
  EXPECT_TRUE(observed.ok()) << observed.status();
  const Batches batches = {{random({2, 3, 8, 8}, 1)}, {random({2, 3, 8, 8}, 2)}};
  for (const auto& batch : batches) EXPECT_TRUE(observed->forward(batch).ok());
  const auto quantized = convert_fx(*observed);
  EXPECT_TRUE(quantized.ok()) << quantized.status();
  LayerComparison comparison(*fused, *observed, *quantized);
  for (const auto& batch : batches) EXPECT_TRUE(comparison.add(batch).ok());
  Compared result;
  for (const LayerError& error : comparison.errors()) result.errors[error.node] = error;
  result.ranking = *rank_layers(*fused, *observed, batches);
  return result;
}

QConfigDict standard() {
  QConfigDict dict;
  dict.global = *get_default_calib_qconfig();
  return dict;
}

QConfig fixed_scale(double scale) {
  return *get_default_calib_qconfig("qint8", {{"observer", "fixed_scale"}, {"scale", scale}});
}

TEST(LayerErrorsTest, ASoundNetIsRounding) {
  QConfigDict dict;
  dict.global = *get_default_calib_qconfig("qint8", {{"observer", "min_max"}});
  const Compared compared = compare(net(kThree), dict);
  ASSERT_EQ(compared.errors.size(), 4);
  for (const auto& [name, error] : compared.errors) {
    EXPECT_GT(error.local_sqnr_db, 30) << name;
    EXPECT_GT(error.fake_sqnr_db, 30) << name;
    EXPECT_NE(error.cause, ErrorCause::kClipping) << name;
    EXPECT_EQ(error.per_tensor_loss_db, 0) << name;
    EXPECT_GT(error.cosine, 0.999) << name;
  }
  const LayerError& last = compared.errors.at("c");
  EXPECT_NEAR(last.int8_sqnr_db, last.fake_sqnr_db, 0.5);
  EXPECT_LT(last.fake_sqnr_db, last.local_sqnr_db) << "errors add up";
}

TEST(LayerErrorsTest, ClippingAndCoarseStepsAreToldApart) {
  for (const auto& [scale, cause] :
       {std::pair(0.002, ErrorCause::kClipping), std::pair(0.4, ErrorCause::kRounding)}) {
    QConfigDict dict = standard();
    dict.module_name = {{"b", fixed_scale(scale)}};
    const Compared compared = compare(net(kThree), dict);
    EXPECT_EQ(compared.errors.at("b").cause, cause) << cause_name(cause);
    EXPECT_LT(compared.errors.at("b").local_sqnr_db, 25);
    EXPECT_GT(compared.errors.at("c").local_sqnr_db, 30) << "its own error is small";
    EXPECT_LT(compared.errors.at("c").fake_sqnr_db, 25) << "but it inherits";
    EXPECT_EQ(compared.ranking[0].node, "b");
    EXPECT_EQ(compared.ranking[0].module, "b");
  }
}

TEST(LayerErrorsTest, OneScaleForUnequalChannelsIsNamed) {
  GraphModule model = net(kThree);
  const auto& op = *model.op_module(*model.graph().find("b"));
  at::Tensor factors = at::ones({8, 1, 1, 1});
  factors[3].fill_(200.0F);
  model.module("b")->set_tensor("weight", op.tensor("weight") * factors);
  QConfigDict dict = standard();
  EXPECT_EQ(compare(model, dict).errors.at("b").per_tensor_loss_db, 0);
  dict.global->weight = *FakeQuantizeFactory().with_args({{"observer", "min_max"}});
  const Compared compared = compare(model, dict);
  EXPECT_GT(compared.errors.at("b").per_tensor_loss_db, 20);
  EXPECT_LT(compared.errors.at("a").per_tensor_loss_db, 3);
}

TEST(LayerErrorsTest, ABadWeightIsTheCause) {
  QConfigDict dict = standard();
  dict.module_name = {{"b", *get_default_calib_qconfig()}};
  dict.module_name[0].second->weight = *FakeQuantizeFactory().with_args(
      {{"observer", "min_max"}, {"quant_min", -2}, {"quant_max", 2}});
  const Compared compared = compare(net(kThree), dict);
  EXPECT_EQ(compared.errors.at("b").cause, ErrorCause::kWeights);
  EXPECT_LT(compared.errors.at("b").weight_sqnr_db, 20);
  EXPECT_GT(compared.errors.at("c").weight_sqnr_db, 35);
}

TEST(SensitivityTest, TheWorstLayerInFloatPaysMost) {
  QConfigDict dict = standard();
  dict.module_name = {{"b", fixed_scale(0.4)}};
  const GraphModule model = net(kThree);
  const Compared compared = compare(model, dict);
  // The config goes through JSON, as the tools write it.
  const auto kept = qconfig_dict_from_json(to_json(keep_in_float(dict, compared.ranking, 1)));
  ASSERT_TRUE(kept.ok()) << kept.status();
  ASSERT_EQ(kept->any_member.size(), 1);
  EXPECT_EQ(kept->any_member[0].first, "b");
  const Batches batches = {{random({2, 3, 8, 8}, 1)}};
  std::vector<double> sqnr;
  for (const QConfigDict& each : {dict, *kept}) {
    const auto observed = prepare_calibration_fx(model, each);
    ASSERT_TRUE(observed.ok()) << observed.status();
    ASSERT_TRUE(observed->forward(batches[0]).ok());
    sqnr.push_back(*output_sqnr_db(model, *observed, batches));
  }
  EXPECT_GT(sqnr[1], sqnr[0] + 10);
}

TEST(SensitivityTest, LeavesTheModelAsItIsAndWantsData) {
  const GraphModule model = net(kThree);
  const auto observed = prepare_calibration_fx(model, standard());
  ASSERT_TRUE(observed->forward({random({2, 3, 8, 8})}).ok());
  ASSERT_TRUE(rank_layers(model, *observed, {{random({2, 3, 8, 8})}}).ok());
  for (const auto& [path, fake_quant] : observed->fake_quants()) {
    EXPECT_TRUE(fake_quant->observer_enabled()) << path;
    EXPECT_FALSE(fake_quant->fake_quant_enabled()) << path;
  }
  EXPECT_FALSE(rank_layers(model, *observed, {}).ok());
}

}  // namespace
}  // namespace fxq
