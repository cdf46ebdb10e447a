// Gradients against ATen's operators, against the papers' formulas written out, and by finite
// differences of what is differentiable.
#include "fxq/quant/gradients.h"

#include <ATen/Parallel.h>
#include <ATen/ops/_fake_quantize_learnable_per_channel_affine.h>
#include <ATen/ops/_fake_quantize_learnable_per_tensor_affine.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/fake_quantize_per_channel_affine.h>
#include <ATen/ops/fake_quantize_per_tensor_affine.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "fxq/graph/op_module.h"
#include "fxq/graph/weighted_bn_module.h"
#include "fxq/quant/fake_quantize.h"
#include "fxq/quant/quant_op_module.h"
#include "nets.h"

namespace fxq {
namespace {

using quant_test::made;
using quant_test::random;
using ::testing::HasSubstr;

at::Tensor leaf(const at::Tensor& value) { return value.detach().clone().set_requires_grad(true); }

// The one parameter of a learned fake quantizer.
at::Tensor parameter(const FakeQuantize& fake_quant, const std::string& name) {
  for (const auto& [key, tensor] : fake_quant.tensors()) {
    if (key == name) return tensor;
  }
  return {};
}

TEST(GradientTest, FakeQuantizeIsATen) {
  for (const bool per_channel : {false, true}) {
    auto fq = per_channel ? made({{"observer", "MovingAveragePerChannelMinMaxObserver"},
                                  {"ch_axis", 0},
                                  {"channel_len", 4}})
                          : made({});
    fq->forward(random({4, 50}, 1));  // a scale that some values of the next batch pass
    fq->enable_observer(false);
    const at::Tensor x = leaf(random({4, 50}, 2, 1.5)), same = leaf(x),
                     upstream = random({4, 50}, 3);
    const at::Tensor y = fq->forward(x);
    const at::Tensor expected = per_channel ? at::fake_quantize_per_channel_affine(
                                                  same, fq->scale(), fq->zero_point(), 0, -128, 127)
                                            : at::fake_quantize_per_tensor_affine(
                                                  same, fq->scale().item<float>(), 0, -128, 127);
    (y * upstream).sum().backward();
    (expected * upstream).sum().backward();
    EXPECT_TRUE(at::equal(y, expected));
    EXPECT_TRUE(at::equal(x.grad(), same.grad()));
    EXPECT_TRUE(x.grad().eq(0).any().item<bool>()) << "some values lie outside";
  }
}

// Layouts that the fast loops take, and those that they leave to ATen.
TEST(GradientTest, EveryLayoutIsATen) {
  const at::Tensor base = random({3, 4, 5, 7}, 1, 2.0);
  const at::Tensor layouts[] = {base, base.contiguous(at::MemoryFormat::ChannelsLast),
                                base.transpose(1, 3), base.slice(3, 1, 4), base.to(at::kDouble)};
  const at::Tensor scale = at::full({1}, 0.0137F);
  for (const at::Tensor& layout : layouts) {
    const at::Tensor x = leaf(layout), same = leaf(layout);
    const at::Tensor y = fake_quantize(x, {ScaleRule::kFixed, scale, {}}, {-128, 127});
    const at::Tensor expected = at::fake_quantize_per_tensor_affine(same, 0.0137F, 0, -128, 127);
    EXPECT_TRUE(at::equal(y, expected));
    const at::Tensor upstream = random(layout.sizes().vec(), 2).to(layout.scalar_type());
    (y * upstream).sum().backward();
    (expected * upstream).sum().backward();
    EXPECT_TRUE(at::equal(x.grad(), same.grad()));
  }
}

// It read behind the last scale, or gave all channels the first one.
TEST(GradientTest, ScalesThatDoNotFitTheChannelsAreAnError) {
  auto fq = made({{"observer", "MovingAveragePerChannelMinMaxObserver"}, {"channel_len", 4}});
  fq->forward(random({4, 10}));
  fq->enable_observer(false);
  auto message = [](const auto& call) {
    try {
      call();
    } catch (const c10::Error& error) {
      return std::string(error.what_without_backtrace());
    }
    return std::string("no error");
  };
  for (const int64_t rows : {1, 3, 16}) {
    EXPECT_THAT(message([&] {
                  fq->forward(random({rows, 10}));
                }),
                HasSubstr("channels (ch_axis 0) has 4 scales"));
  }
  const at::Tensor x = random({3, 4}), four = at::full({4}, 0.1F);
  for (const int axis : {-1, -2, 2}) {
    EXPECT_THAT(message([&] {
                  fake_quantize(x, {ScaleRule::kFixed, four, axis}, {-128, 127});
                }),
                HasSubstr("is no dimension of a tensor of 2 dimensions"));
  }
  EXPECT_THAT(message([&] {
                fake_quantize(x, {ScaleRule::kFixed, four, {}}, {-128, 127});
              }),
              HasSubstr("wants 1 scale and has 4"));
  EXPECT_THAT(
      message([&] {
        folded_fake_quantize(x, four, {ScaleRule::kFixed, at::full({1}, 0.1F), {}}, {-128, 127});
      }),
      HasSubstr("weights with 4 factors"));
}

TEST(GradientTest, FoldedWeightsMayHaveTheirScalesOnAnotherAxis) {
  const at::Tensor w = random({3, 4}), factors = at::tensor({0.5F, 2.0F, 1.0F});
  const ScaleParameter scale{ScaleRule::kFixed, at::tensor({0.1F, 0.2F, 0.3F, 0.01F}), 1};
  const at::Tensor spread = factors.view({3, 1});
  EXPECT_TRUE(at::equal(folded_fake_quantize(w, factors, scale, {-128, 127}),
                        fake_quantize(w * spread, scale, {-128, 127}) / spread));
}

// A learned scale, with the values that the observer would have started it at.
ScaleParameter learned(ScaleRule rule, const at::Tensor& scale, std::optional<int> axis) {
  const bool is_pact = rule == ScaleRule::kPact;
  return {rule, leaf(is_pact ? scale * 127.5 : scale), axis};
}

// In every layout, the loops and ATen's operators (doubles take these) agree.
TEST(GradientTest, LearnedScalesInEveryLayoutAreThoseOfDoubles) {
  const at::Tensor base = random({3, 4, 50, 70}, 1, 2.0);
  const at::Tensor layouts[] = {base, base.contiguous(at::MemoryFormat::ChannelsLast),
                                base.transpose(1, 3).contiguous().transpose(1, 3),
                                base.slice(3, 1, 4)};
  for (const ScaleRule rule : {ScaleRule::kFixed, ScaleRule::kLsq, ScaleRule::kPact}) {
    for (const std::optional<int> axis : {std::optional<int>(), std::optional<int>(1)}) {
      const at::Tensor scale =
          axis ? at::tensor({0.0137F, 0.02F, 0.05F, 0.0041F}) : at::full({1}, 0.0137F);
      for (const at::Tensor& layout : layouts) {
        const ScaleParameter fast = learned(rule, scale, axis), slow = learned(rule, scale, axis);
        const at::Tensor x = leaf(layout), same = leaf(layout);
        const at::Tensor upstream = random(layout.sizes().vec(), 2);
        const at::Tensor y = fake_quantize(x, fast, {-128, 127});
        const bool same_type = rule == ScaleRule::kLsq;  // whose operators want floats
        const at::Tensor expected =
            fake_quantize(same_type ? same.transpose(0, 3) : same.to(at::kDouble),
                          {rule, slow.parameter, axis}, {-128, 127});
        const at::Tensor back = same_type ? expected.transpose(0, 3) : expected.to(at::kFloat);
        EXPECT_TRUE(at::equal(y, back));
        (y * upstream).sum().backward();
        (back * upstream).sum().backward();
        EXPECT_TRUE(at::equal(x.grad(), same.grad()));
        if (rule == ScaleRule::kFixed) continue;
        EXPECT_TRUE(fast.parameter.grad().allclose(slow.parameter.grad(), 1e-3, 1e-3))
            << fast.parameter.grad() << slow.parameter.grad();
      }
    }
  }
}

TEST(GradientTest, LearnedScalesDoNotDependOnThreads) {
  const at::Tensor x = random({3, 70000}, 1), upstream = random({3, 70000}, 2);
  const int before = at::get_num_threads();
  for (const ScaleRule rule : {ScaleRule::kLsq, ScaleRule::kPact}) {
    std::vector<at::Tensor> gradients;
    for (const int threads : {1, 2}) {
      at::set_num_threads(threads);
      const ScaleParameter scale = learned(rule, at::full({1}, 0.0137F), {});
      (fake_quantize(x, scale, {-128, 127}) * upstream).sum().backward();
      gradients.push_back(scale.parameter.grad());
    }
    EXPECT_TRUE(at::equal(gradients[0], gradients[1]));
  }
  at::set_num_threads(before);
}

TEST(GradientTest, FoldedWeightsAreTheirFormula) {
  const at::Tensor factors = at::tensor({0.5F, -2.0F, 1e-3F, 3.0F});
  for (const ScaleRule rule : {ScaleRule::kFixed, ScaleRule::kLsq, ScaleRule::kPact}) {
    for (const bool per_channel : {true, false}) {
      const at::Tensor scale = at::full({per_channel ? 4 : 1}, 0.011F);
      const std::optional<int> axis = per_channel ? std::optional<int>(0) : std::nullopt;
      const at::Tensor w = leaf(random({4, 3, 5}, 1)), same = leaf(w);
      const at::Tensor f = leaf(factors), same_f = leaf(factors);
      const ScaleParameter folded = learned(rule, scale, axis), apart = learned(rule, scale, axis);
      const at::Tensor y = folded_fake_quantize(w, f, folded, {-128, 127});
      const at::Tensor spread = same_f.view({-1, 1, 1});
      const at::Tensor expected = fake_quantize(same * spread, apart, {-128, 127}) / spread;
      EXPECT_TRUE(y.allclose(expected, 1e-5, 1e-6));
      const at::Tensor upstream = random({4, 3, 5}, 2);
      (y * upstream).sum().backward();
      (expected * upstream).sum().backward();
      EXPECT_TRUE(w.grad().allclose(same.grad(), 1e-5, 1e-6));
      EXPECT_TRUE(f.grad().allclose(same_f.grad(), 1e-4, 1e-3)) << f.grad() << same_f.grad();
      if (rule == ScaleRule::kFixed) continue;
      EXPECT_TRUE(folded.parameter.grad().allclose(apart.parameter.grad(), 1e-4, 1e-4))
          << folded.parameter.grad() << apart.parameter.grad();
    }
  }
}

TEST(GradientTest, WithoutSaturationValuesAreATensAndGradientsPass) {
  for (const uint64_t seed : {1, 2, 3}) {
    auto fq = made({{"saturate", false}});
    ASSERT_TRUE(fq->set_qparams(0.0137).ok());
    const at::Tensor x = leaf(random({1000}, seed, 2.0));
    const at::Tensor y = fq->forward(x);
    EXPECT_TRUE(
        at::equal(y, at::fake_quantize_per_tensor_affine(x.detach(), 0.0137F, 0, -128, 127)));
    const at::Tensor upstream = random({1000}, seed + 9);
    (y * upstream).sum().backward();
    EXPECT_TRUE(at::equal(x.grad(), upstream));
  }
}

// d y / d s = round(x / s) - x / s inside, quant_min or quant_max outside; times 1 / sqrt(N * Qp).
at::Tensor lsq_formula(const at::Tensor& x, const at::Tensor& s, const at::Tensor& upstream,
                       std::optional<int> axis) {
  const at::Tensor steps = x / (axis ? s.view({-1, 1}) : s);
  at::Tensor slope = steps.round() - steps;
  slope = at::where(steps.round() > 127, at::full({}, 127.0), slope.to(at::kDouble));
  slope = at::where(steps.round() < -128, at::full({}, -128.0).to(at::kDouble), slope);
  const double values = static_cast<double>(axis ? x.numel() / x.size(0) : x.numel());
  const at::Tensor all = upstream * slope / std::sqrt(values * 127);
  return axis ? all.sum(1) : all.sum().view({1});
}

TEST(GradientTest, LsqIsItsPaperAndATen) {
  for (const bool per_channel : {false, true}) {
    const std::optional<int> axis = per_channel ? std::optional<int>(0) : std::nullopt;
    auto fq = per_channel ? made({{"type", "lsq"},
                                  {"observer", "MovingAveragePerChannelMinMaxObserver"},
                                  {"channel_len", 4}})
                          : made({{"type", "lsq"}});
    fq->forward(random({4, 50}, 1));
    const at::Tensor first = fq->scale().clone();
    const at::Tensor x = leaf(random({4, 50}, 2, 1.5)), upstream = random({4, 50}, 3);
    (fq->forward(x) * upstream).sum().backward();
    EXPECT_TRUE(at::equal(fq->scale(), first)) << "the observer is asked once";
    const at::Tensor s = parameter(*fq, "scale");
    ASSERT_TRUE(s.requires_grad());
    EXPECT_TRUE(s.grad().allclose(lsq_formula(x.detach(), first, upstream, axis).to(at::kFloat),
                                  1e-3, 1e-5));
    const at::Tensor same = leaf(x), scale = leaf(first), zero = at::zeros(first.sizes());
    const double factor = lsq_gradient_factor(x, fq->range(), axis);
    const at::Tensor y = per_channel ? at::_fake_quantize_learnable_per_channel_affine(
                                           same, scale, zero, 0, -128, 127, factor)
                                     : at::_fake_quantize_learnable_per_tensor_affine(
                                           same, scale, zero, -128, 127, factor);
    (y * upstream).sum().backward();
    EXPECT_TRUE(at::equal(x.grad(), same.grad()));
    EXPECT_TRUE(s.grad().allclose(scale.grad(), 1e-5, 1e-7)) << "summed in another order";
  }
}

TEST(GradientTest, PactIsItsPaperByFiniteDifferences) {
  const at::Tensor x = leaf(random({4, 50}, 2, 3.0)), upstream = random({4, 50}, 3);
  for (const bool per_channel : {false, true}) {
    auto fq = per_channel ? made({{"type", "pact"},
                                  {"observer", "MovingAveragePerChannelMinMaxObserver"},
                                  {"channel_len", 4},
                                  {"alpha", 2.0}})
                          : made({{"type", "pact"}, {"alpha", 2.0}});
    x.mutable_grad() = at::Tensor();
    (fq->forward(x) * upstream).sum().backward();
    const at::Tensor alpha = parameter(*fq, "alpha");
    EXPECT_TRUE(alpha.eq(2.0).all().item<bool>());
    EXPECT_TRUE(fq->scale().allclose(alpha / 127.5));
    EXPECT_TRUE(at::equal(x.grad(), upstream * x.abs().lt(2.0)));
    // The clip without its rounding is differentiable.
    auto clipped = [&](double at) {
      const at::Tensor y = x.detach().to(at::kDouble).clamp(-at, at) * upstream;
      return per_channel ? y.sum(1) : y.sum().view({1});
    };
    const double h = 1e-7;
    const at::Tensor slope = (clipped(2.0 + h) - clipped(2.0 - h)) / (2 * h);
    EXPECT_TRUE(alpha.grad().allclose(slope.to(at::kFloat), 1e-4, 1e-4)) << slope;
  }
}

TEST(GradientTest, LearnedScalesStayPositive) {
  for (const char* type : {"lsq", "pact"}) {
    auto fq = made({{"type", type}});
    fq->forward(random({50}));
    at::Tensor learned = parameter(*fq, std::string(type) == "lsq" ? "scale" : "alpha");
    learned.set_data(learned.detach() * -1);
    EXPECT_GT(fq->scale().item<float>(), 0.0F) << "also before the next batch";
    EXPECT_TRUE(fq->forward(random({50})).isfinite().all().item<bool>());
    EXPECT_GT(fq->scale().item<float>(), 0.0F);
  }
}

TEST(GradientTest, ALearnedScaleThatIsUsedTwiceTrains) {
  for (const std::string type : {"lsq", "pact"}) {
    for (const bool below_zero : {false, true}) {
      auto fq = made({{"type", type}});
      const at::Tensor x = random({50}, 1), y = random({50}, 2, 2.0);
      fq->forward(x);
      at::Tensor learned = parameter(*fq, type == "lsq" ? "scale" : "alpha");
      if (below_zero) learned.set_data(learned.detach() * -1);
      (fq->forward(x) + fq->forward(y)).sum().backward();
      const at::Tensor together = learned.grad().clone();
      learned.mutable_grad() = at::Tensor();
      fq->forward(x).sum().backward();
      fq->forward(y).sum().backward();
      EXPECT_TRUE(together.allclose(learned.grad(), 1e-5, 1e-6)) << type;
    }
  }
}

TEST(GradientTest, LearnedTypesHaveNoSaturate) {
  const auto refused = (*FakeQuantizeFactory().with_args(
      {{"type", "lsq"}, {"saturate", false}, {"in_place", true}, {"alpha", 1.0}}))();
  const std::string message(refused.status().message());
  EXPECT_THAT(message, HasSubstr("saturate=false"));
  EXPECT_THAT(message, HasSubstr("in_place"));
  EXPECT_THAT(message, HasSubstr("alpha is for pact only"));
}

// The same layer written with ATen, as torch.ao writes it: conv(x, fq(W * s)) / s + b, then the
// norm.
struct ConvBn {
  at::Tensor x = leaf(random({4, 3, 6, 6}, 1)), weight = leaf(random({5, 3, 3, 3}, 2, 0.3)),
             bias = leaf(random({5}, 3)), gamma = leaf(random({5}, 4).abs() + 0.5),
             beta = leaf(random({5}, 5)), mean = random({5}, 6, 0.1),
             var = random({5}, 7).abs() + 0.5;

  at::Tensor written_out(bool frozen) const {
    const at::Tensor s = gamma / (var + 1e-5).sqrt();
    const at::Tensor scaled = weight * s.view({-1, 1, 1, 1});
    const at::Tensor scale = (scaled.detach().abs().amax({1, 2, 3}) / 127.5F);
    const at::Tensor quantized =
        at::fake_quantize_per_channel_affine(scaled, scale, at::zeros({5}, at::kInt), 0, -128, 127);
    at::Tensor y = at::conv2d(x, quantized) / s.view({1, -1, 1, 1}) + bias.view({1, -1, 1, 1});
    return at::batch_norm(y, gamma, beta, mean.clone(), var.clone(), !frozen, 0.1, 1e-5, false);
  }

  std::vector<at::Tensor> gradients(const at::Tensor& y) const {
    std::vector<at::Tensor> result;
    for (const at::Tensor& tensor : {x, weight, bias, gamma, beta})
      tensor.mutable_grad() = at::Tensor();
    (y * random({4, 5, 4, 4}, 8)).sum().backward();
    for (const at::Tensor& tensor : {x, weight, bias, gamma, beta}) {
      result.push_back(tensor.grad().clone());
    }
    return result;
  }
};

TEST(GradientTest, ConvBnIsWhatItSaysWrittenOut) {
  for (const bool frozen : {false, true}) {
    const ConvBn layer;
    const OpModule conv("Conv2d", OpId::kConv2d, {{"weight", layer.weight}, {"bias", layer.bias}},
                        {});
    auto bn = std::make_shared<OpModule>(
        "BatchNorm2d", OpId::kBatchNorm,
        NamedTensors{{"weight", layer.gamma},
                     {"bias", layer.beta},
                     {"running_mean", layer.mean.clone()},
                     {"running_var", layer.var.clone()}},
        NamedAttributes{{"momentum", 0.1}, {"eps", 1e-5}, {"cudnn_enabled", false}});
    FakeQuantizeOptions options;
    options.observer = "MovingAveragePerChannelMinMaxObserver";
    options.observer_kwargs.averaging_constant = 1.0;
    auto module = *make_quant_op_module(WeightedBnModule(conv, bn), FakeQuantizeFactory(options));
    module->freeze_bn_stats(frozen);
    module->train();
    const at::Tensor y = module->call("forward", {layer.x}).toTensor();
    const at::Tensor expected = layer.written_out(frozen);
    EXPECT_TRUE(y.allclose(expected, 1e-4, 1e-5));
    const auto actual = layer.gradients(y);
    const auto wanted = layer.gradients(expected);
    for (size_t i = 0; i < wanted.size(); ++i) {
      EXPECT_TRUE(actual[i].allclose(wanted[i], 1e-3, 1e-4)) << frozen << " " << i;
    }
  }
}

}  // namespace
}  // namespace fxq
