// Training: what prepare_qat_fx makes, its gradients, and that the trained graph converts exactly.
#include <ATen/ops/arange.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/zeros_like.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/optim/sgd.h>

#include <filesystem>

#include "fxq/graph/op_module.h"
#include "fxq/graph/text.h"
#include "fxq/quant/convert_fx.h"
#include "fxq/quant/fake_quantize.h"
#include "fxq/quant/fuse_fx.h"
#include "fxq/quant/prepare_fx.h"
#include "fxq/quant/quant_op_module.h"
#include "nets.h"

namespace fxq {
namespace {

using quant_test::graph_text;
using quant_test::net;
using quant_test::random;
using ::testing::HasSubstr;

// Residual, a batch norm behind each convolution, a classifier.
constexpr const char* kNet = R"(
module @a = conv2d(weight: f32[8,3,3,3], bias: none, padding=[1,1])
module @abn = batch_norm(weight: f32[8], bias: f32[8], running_mean: f32[8], running_var: f32[8], num_batches_tracked: i64[], momentum=0.1, eps=1e-05, cudnn_enabled=true)
module @b = conv2d(weight: f32[8,1,3,3], bias: f32[8], padding=[1,1], groups=8)
module @bbn = batch_norm(weight: f32[8], bias: f32[8], running_mean: f32[8], running_var: f32[8], num_batches_tracked: i64[], momentum=0.1, eps=1e-05, cudnn_enabled=true)
module @fc = linear(weight: f32[4,8], bias: f32[4])
state @a.weight = normal(1, 0.3)
state @abn.weight = uniform(2, 0.5, 1.5)
state @abn.bias = normal(3, 0.1)
state @abn.running_mean = normal(4, 0.1)
state @abn.running_var = uniform(5, 0.5, 2.0)
state @b.weight = normal(6, 0.3)
state @b.bias = normal(7, 0.1)
state @bbn.weight = uniform(8, 0.5, 1.5)
state @bbn.bias = normal(9, 0.1)
state @bbn.running_mean = normal(10, 0.1)
state @bbn.running_var = uniform(11, 0.5, 2.0)
state @fc.weight = normal(12, 0.3)
state @fc.bias = normal(13, 0.1)
graph (%x: f32[8,3,8,8]) {
  %a = conv2d @a(%x) : f32[8,8,8,8]
  %abn = batch_norm @abn(%a) : f32[8,8,8,8]
  %r = relu(%abn) : f32[8,8,8,8]
  %b = conv2d @b(%r) : f32[8,8,8,8]
  %bbn = batch_norm @bbn(%b) : f32[8,8,8,8]
  %s = add(%bbn, %r) : f32[8,8,8,8]
  %t = relu(%s) : f32[8,8,8,8]
  %p = adaptive_avg_pool2d(%t, [1,1]) : f32[8,8,1,1]
  %f = flatten(%p, 1) : f32[8,8]
  %fc = linear @fc(%f) : f32[8,4]
  return %fc
}
)";

GraphModule training_net() {
  GraphModule gm = net(kNet);
  gm.train();
  return gm;
}

ObservedGraphModule prepared(const GraphModule& gm, const PrepareOptions& options = {}) {
  auto model = prepare_qat_fx(gm, options);
  EXPECT_TRUE(model.ok()) << model.status();
  return *std::move(model);
}

at::Tensor labels() { return at::randint(0, 4, {8}, at::kLong); }

double step(const ObservedGraphModule& model, torch::optim::Optimizer& optimizer,
            const at::Tensor& x, const at::Tensor& y) {
  optimizer.zero_grad();
  auto out = model.forward({x});
  EXPECT_TRUE(out.ok()) << out.status();
  const at::Tensor loss = at::cross_entropy_loss(out->toTensor(), y);
  loss.backward();
  optimizer.step();
  return loss.item<double>();
}

// Two images of each class, of different brightness, are learnt by heart; returns first and last
// loss.
std::pair<double, double> train(const ObservedGraphModule& model, int steps, double rate = 0.05) {
  torch::optim::SGD optimizer(model.graph_module().parameters(), rate);
  const at::Tensor y = at::arange(8, at::kLong).remainder(4);
  const at::Tensor x = random({8, 3, 8, 8}, 1) + (y.to(at::kFloat) - 1.5).view({8, 1, 1, 1});
  const double first = step(model, optimizer, x, y);
  double last = first;
  for (int i = 1; i < steps; ++i) last = step(model, optimizer, x, y);
  return {first, last};
}

int64_t most_steps_apart(const at::Tensor& a, const at::Tensor& b, double scale) {
  return static_cast<int64_t>(((a - b).abs().max().item<double>() / scale) + 0.5);
}

TEST(FuseForTraining, BatchNormBecomesPartOfTheOp) {
  auto fused = fuse_fx(training_net());
  ASSERT_TRUE(fused.ok()) << fused.status();
  EXPECT_EQ(graph_text(*fused), R"(graph (%x) {
  %r = bn_conv2d @a(%x, activation="relu")
  %t = bn_conv2d @b(%r, add=%r, activation="relu")
  %p = adaptive_avg_pool2d(%t, [1,1])
  %f = flatten(%p, 1)
  %fc = linear @fc(%f)
  return %fc
}
)");
  const at::Tensor x = random({8, 3, 8, 8});
  GraphModule plain = training_net().copy(GraphModule::Copy::kCloneAll);
  GraphModule own = fused->copy(GraphModule::Copy::kCloneAll);
  EXPECT_TRUE(at::equal(plain.forward({x})->toTensor(), own.forward({x})->toTensor()));
  EXPECT_EQ(own.parameters().size(), plain.parameters().size());
  for (GraphModule* gm : {&plain, &own}) gm->eval();
  EXPECT_TRUE(at::equal(plain.forward({x})->toTensor(), own.forward({x})->toTensor()))
      << "the statistics moved alike";
}

TEST(FuseForTraining, TextAndFileHoldIt) {
  const GraphModule fused = *fuse_fx(training_net());
  PrintOptions all;
  all.annotations = true;
  auto again = parse_text(print_text(fused, all));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(print_text(*again, all), print_text(fused, all));
  EXPECT_EQ(again->parameters().size(), fused.parameters().size());
}

TEST(QatTest, FakeQuantsStandWhereCalibrationHasThem) {
  const auto model = prepared(training_net());
  EXPECT_TRUE(model.graph_module().is_training());
  EXPECT_EQ(graph_text(model.graph_module()), R"(graph (%x) {
  %x_fq = fake_quantize @x_fq(%x)
  %r = fq_conv2d @a(%x_fq, activation="relu")
  %r_fq = fake_quantize @r_fq(%r)
  %t = fq_conv2d @b(%r_fq, add=%r_fq, activation="relu")
  %t_fq = fake_quantize @t_fq(%t)
  %p = adaptive_avg_pool2d(%t_fq, [1,1])
  %p_fq = fake_quantize @p_fq(%p)
  %f = flatten(%p_fq, 1)
  %fc = fq_linear @fc(%f)
  %fc_fq = fake_quantize @fc_fq(%fc)
  return %fc_fq
}
)");
}

TEST(QatTest, LearnsAndLeavesTheCallersModelAlone) {
  for (const QatMode mode : {QatMode::WithBN, QatMode::FuseBN}) {
    const GraphModule gm = training_net();
    std::vector<at::Tensor> before;
    for (const auto& [path, tensor] : gm.named_parameters()) before.push_back(tensor.clone());
    for (const auto& [path, tensor] : gm.named_buffers()) before.push_back(tensor.clone());
    PrepareOptions options;
    options.qat_mode = mode;
    const auto model = prepared(gm, options);
    EXPECT_EQ(model.graph_module().parameters().size(), mode == QatMode::WithBN ? 9 : 6);
    const auto losses = train(model, 60, 0.1);
    EXPECT_LT(losses.second, 0.5 * losses.first);
    size_t i = 0;
    for (const auto& [path, tensor] : gm.named_parameters()) {
      EXPECT_TRUE(at::equal(tensor, before[i++])) << path;
    }
    for (const auto& [path, tensor] : gm.named_buffers()) {
      EXPECT_TRUE(at::equal(tensor, before[i++])) << path;
    }
  }
}

TEST(QatTest, EveryParameterHasAGradient) {
  for (const char* kind : {"fake_quant", "lsq", "pact"}) {
    QatQConfigOptions qconfig;
    qconfig.activation_fake_quant = qconfig.weight_fake_quant = kind;
    QConfigDict dict;
    dict.global = *get_default_qat_qconfig(qconfig);
    auto model = prepare_qat_fx(training_net(), dict);
    ASSERT_TRUE(model.ok()) << model.status();
    ASSERT_TRUE(model->forward({random({8, 3, 8, 8})}).ok());
    at::cross_entropy_loss(model->forward({random({8, 3, 8, 8})})->toTensor(), labels()).backward();
    for (const auto& [path, tensor] : model->graph_module().named_parameters()) {
      ASSERT_TRUE(tensor.grad().defined()) << kind << " " << path;
      EXPECT_TRUE(tensor.grad().isfinite().all().item<bool>()) << kind << " " << path;
    }
  }
}

// The integer program is what training simulated: at most one step apart at the end of the net.
void expect_converts(ObservedGraphModule& model, const at::Tensor& x) {
  model.graph_module().eval();
  ASSERT_TRUE(set_fake_quantize(model, FakeQuantState::VALIDATION).ok());
  const at::Tensor simulated = model.forward({x})->toTensor();
  auto quantized = convert_fx(model);
  ASSERT_TRUE(quantized.ok()) << quantized.status();
  const at::Tensor integers = quantized->forward({x})->toTensor();
  double scale = 0;
  for (const auto& [path, fake_quant] : model.fake_quants()) {
    if (path == "fc_fq") scale = fake_quant->scale().item<float>();
  }
  EXPECT_LE(most_steps_apart(simulated, integers, scale), 1);
  for (const std::string& path : quantized->graph_module().module_paths()) {
    EXPECT_EQ(quantized->graph_module().module(path)->kind().rfind("bn_", 0), std::string::npos);
  }
}

TEST(QatTest, ConvertsToWhatItSimulates) {
  for (const QatMode mode : {QatMode::WithBN, QatMode::FuseBN}) {
    for (const char* kind : {"fake_quant", "lsq", "pact"}) {
      QatQConfigOptions qconfig;
      qconfig.activation_fake_quant = qconfig.weight_fake_quant = kind;
      QConfigDict dict;
      dict.global = *get_default_qat_qconfig(qconfig);
      PrepareOptions options;
      options.qat_mode = mode;
      auto model = prepare_qat_fx(training_net(), dict, options);
      ASSERT_TRUE(model.ok()) << model.status();
      train(*model, 10);
      SCOPED_TRACE(std::string(kind) + (mode == QatMode::WithBN ? " WithBN" : " FuseBN"));
      expect_converts(*model, random({8, 3, 8, 8}, 5));
    }
  }
}

TEST(QatTest, ConvertFromTheTrainingStateTakesTheLastWeights) {
  auto model = prepared(training_net());
  train(model, 5);
  const auto early = convert_fx(model);  // still in train() mode and the state QAT
  ASSERT_TRUE(early.ok()) << early.status();
  model.graph_module().eval();
  ASSERT_TRUE(set_fake_quantize(model, FakeQuantState::VALIDATION).ok());
  const auto late = convert_fx(model);
  const at::Tensor x = random({8, 3, 8, 8}, 5);
  EXPECT_TRUE(at::equal(early->forward({x})->toTensor(), late->forward({x})->toTensor()));
  EXPECT_EQ(print_text(early->graph_module()), print_text(late->graph_module()));
}

TEST(QatTest, AZeroGammaIsNoNaNAndGrowsBack) {
  GraphModule gm = training_net();
  auto bn = gm.op_module(*gm.graph().find("abn"));
  at::Tensor gamma = bn->tensor("weight").detach().clone();
  gamma[2] = 0.0F;
  bn->set_tensor("weight", gamma.set_requires_grad(true));
  at::Tensor beta = bn->tensor("bias").detach().clone();
  beta[2] = 0.3F;  // the relu lets it through
  bn->set_tensor("bias", beta.set_requires_grad(true));
  for (const bool frozen : {false, true}) {
    auto model = prepared(gm);
    freeze_bn_stats(model, frozen);
    const auto losses = train(model, 20);
    EXPECT_TRUE(std::isfinite(losses.second));
    for (const auto& [path, tensor] : model.graph_module().named_parameters()) {
      EXPECT_TRUE(tensor.isfinite().all().item<bool>()) << path;
      if (path == "a.bn_weight") {
        EXPECT_NE(tensor[2].item<float>(), 0.0F) << "the channel learns";
      }
    }
    expect_converts(model, random({8, 3, 8, 8}, 5));
  }
}

TEST(QatTest, FreezingStatisticsAndObservers) {
  auto model = prepared(training_net());
  train(model, 3);
  auto state = [&](const std::string& part) {
    std::vector<at::Tensor> tensors;
    for (const auto& [path, tensor] : model.graph_module().named_buffers()) {
      if (path.find(part) != std::string::npos) tensors.push_back(tensor.clone());
    }
    return tensors;
  };
  auto same = [](const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
    bool all = !a.empty();
    for (size_t i = 0; i < a.size(); ++i) all = all && at::equal(a[i], b[i]);
    return all;
  };
  auto statistics = state("running_"), scales = state("scale");
  train(model, 2);
  EXPECT_FALSE(same(state("running_"), statistics));
  EXPECT_FALSE(same(state("scale"), scales));
  freeze_bn_stats(model);
  enable_observers(model, false);
  statistics = state("running_"), scales = state("scale");
  train(model, 2);
  EXPECT_TRUE(same(state("running_"), statistics));
  EXPECT_TRUE(same(state("scale"), scales));
  freeze_bn_stats(model, false);
  enable_observers(model, true);
  train(model, 2);
  EXPECT_FALSE(same(state("running_"), statistics));
  EXPECT_FALSE(same(state("scale"), scales));
}

// Frozen statistics in training and eval mode are one formula, so their results agree.
TEST(QatTest, FrozenTrainingIsInference) {
  auto model = prepared(training_net());
  train(model, 3);
  freeze_bn_stats(model);
  enable_observers(model, false);
  const at::Tensor x = random({8, 3, 8, 8}, 5);
  const at::Tensor training = model.forward({x})->toTensor().detach();
  model.graph_module().eval();
  const at::Tensor inference = model.forward({x})->toTensor();
  for (const auto& [path, fake_quant] : model.fake_quants()) {
    if (path != "fc_fq") continue;
    EXPECT_LE(most_steps_apart(training, inference, fake_quant->scale().item<float>()), 1);
  }
}

TEST(QatTest, StartsFromCalibratedScales) {
  for (const bool with_bn : {false, true}) {
    GraphModule gm = net(kNet);
    if (with_bn) {
      gm.train();
      gm = *fuse_fx(gm);
      gm.eval();
    }
    auto calibrated = prepare_calibration_fx(gm);
    ASSERT_TRUE(calibrated.ok()) << calibrated.status();
    ASSERT_TRUE(calibrated->forward({random({8, 3, 8, 8}, 3)}).ok());
    QatQConfigOptions frozen;
    frozen.activation_qkwargs = {{"averaging_constant", 0.0}};
    QConfigDict dict;
    dict.global = *get_default_qat_qconfig(frozen);
    auto model = prepare_qat_fx(*calibrated, dict);
    ASSERT_TRUE(model.ok()) << model.status();
    EXPECT_EQ(model->graph_module().parameters().size(), with_bn ? 9 : 6);
    auto scales = [](const ObservedGraphModule& observed) {
      std::map<std::string, at::Tensor> result;
      for (const auto& [path, fake_quant] : observed.fake_quants()) {
        if (path.find(".weight") == std::string::npos) result[path] = fake_quant->scale();
      }
      return result;
    };
    const auto expected = scales(*calibrated);
    train(*model, 5);
    const auto actual = scales(*model);
    ASSERT_EQ(actual.size(), expected.size());
    for (const auto& [path, scale] : expected)
      EXPECT_TRUE(at::equal(actual.at(path), scale)) << path;
    expect_converts(*model, random({8, 3, 8, 8}, 5));
  }
}

TEST(QatTest, CalibratedFromFusedForTrainingKeepsItsNorms) {
  GraphModule gm = training_net();
  GraphModule fused = *fuse_fx(gm);
  fused.eval();
  auto calibrated = prepare_calibration_fx(fused);
  ASSERT_TRUE(calibrated.ok()) << calibrated.status();
  const at::Tensor x = random({8, 3, 8, 8}, 3);
  gm.eval();
  EXPECT_TRUE(
      calibrated->forward({x})->toTensor().allclose(gm.forward({x})->toTensor(), 1e-4, 1e-5));
}

TEST(QatTest, SavedInTheMiddleItGoesOnAlike) {
  const std::string path = ::testing::TempDir() + "fxq_qat_saved.fxq";
  QatQConfigOptions qconfig;
  qconfig.activation_fake_quant = "lsq";
  qconfig.weight_fake_quant = "pact";
  QConfigDict lsq;
  lsq.global = *get_default_qat_qconfig(qconfig);
  for (const QConfigDict& dict : {lsq, QConfigDict{*get_default_qat_qconfig(), {}, {}, {}}}) {
    auto model = prepare_qat_fx(training_net(), dict);
    ASSERT_TRUE(model.ok()) << model.status();
    train(*model, 4);
    freeze_bn_stats(*model);
    ASSERT_TRUE(save(*model, path).ok());
    auto loaded = load_observed(path);
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    EXPECT_TRUE(loaded->graph_module().is_training());
    EXPECT_EQ(loaded->graph_module().parameters().size(),
              model->graph_module().parameters().size());
    EXPECT_EQ(train(*loaded, 3), train(*model, 3));
    std::filesystem::remove(path);
  }
}

TEST(QatTest, RefusesWhatItCannotDo) {
  PrepareOptions hybrid;
  hybrid.hybrid = true;
  EXPECT_EQ(prepare_qat_fx(training_net(), hybrid).status().code(),
            absl::StatusCode::kInvalidArgument);  // March::CPU has no BPU beside it
  const auto observed = prepared(training_net());
  EXPECT_EQ(prepare_qat_fx(observed.graph_module()).status().code(),
            absl::StatusCode::kFailedPrecondition);
  PrepareOptions march;
  march.march = March::BAYES;
  EXPECT_THAT(std::string(prepare_qat_fx(observed, march).status().message()),
              HasSubstr("prepared for CPU, not for BAYES"));
}

}  // namespace
}  // namespace fxq
