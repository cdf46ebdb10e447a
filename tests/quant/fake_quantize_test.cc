// FakeQuantize against ATen's kernels, bit for bit; its switches; its text form.
#include "fxq/quant/fake_quantize.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/fake_quantize_per_channel_affine.h>
#include <ATen/ops/fake_quantize_per_tensor_affine.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fxq/quant/qconfig.h"
#include "nets.h"

namespace fxq {
namespace {

using quant_test::made;
using quant_test::random;
using ::testing::HasSubstr;

TEST(FakeQuantizeTest, PerTensorIsATen) {
  for (const char* dtype : {"qint8", "quint8", "qint16"}) {
    auto fq = made({{"dtype", dtype}});
    const at::Tensor x = random({3, 7, 5}, 4);
    const at::Tensor y = fq->forward(x);
    const QRange range = fq->range();
    const double scale = fq->scale().item<float>();
    EXPECT_EQ(static_cast<float>(scale), symmetric_scale(x.abs().max().item<float>(), range));
    EXPECT_TRUE(
        at::equal(y, at::fake_quantize_per_tensor_affine(x, scale, 0, range.min, range.max)))
        << dtype;
  }
}

TEST(FakeQuantizeTest, PerChannelIsATen) {
  auto fq = made(
      {{"observer", "MovingAveragePerChannelMinMaxObserver"}, {"ch_axis", 1}, {"channel_len", 7}});
  const at::Tensor x = random({3, 7, 5}, 4);
  const at::Tensor y = fq->forward(x);
  EXPECT_TRUE(at::equal(
      y, at::fake_quantize_per_channel_affine(x, fq->scale(), fq->zero_point(), 1, -128, 127)));
}

TEST(FakeQuantizeTest, Switches) {
  auto fq = made();
  const at::Tensor x = random({50});
  fq->enable_fake_quant(false);
  EXPECT_TRUE(at::equal(fq->forward(x), x));
  const at::Tensor seen = fq->scale().clone();
  fq->enable_observer(false);
  fq->enable_fake_quant(true);
  const at::Tensor y = fq->forward(x * 10);
  EXPECT_TRUE(at::equal(fq->scale(), seen));
  EXPECT_EQ(y.max().item<float>(), seen.item<float>() * 127);
}

TEST(FakeQuantizeTest, GradientsAndInPlace) {
  const at::Tensor x = at::tensor({-9.0F, 0.3F, 9.0F}).set_requires_grad(true);
  for (bool saturate : {true, false}) {
    auto fq = made({{"saturate", saturate}});
    ASSERT_TRUE(fq->set_qparams(1.0 / 127).ok());
    x.mutable_grad() = at::Tensor();
    fq->forward(x).sum().backward();
    const float outside = saturate ? 0.0F : 1.0F;
    EXPECT_TRUE(at::equal(x.grad(), at::tensor({outside, 1.0F, outside}))) << saturate;
  }
  auto in_place = made({{"in_place", true}});
  ASSERT_TRUE(in_place->set_qparams(0.5).ok());
  const at::Tensor z = at::tensor({0.6F});
  EXPECT_EQ(in_place->forward(z).data_ptr(), z.data_ptr());
  EXPECT_EQ(z.item<float>(), 0.5F);
  in_place->forward(x);
  EXPECT_EQ(x[1].item<float>(), 0.3F);
}

TEST(FakeQuantizeTest, SetQparamsFreezes) {
  auto fq = made();
  EXPECT_FALSE(fq->is_calibrated());
  EXPECT_FALSE(fq->set_qparams(-1.0).ok());
  EXPECT_FALSE(fq->set_qparams(0.1, 3).ok());
  ASSERT_TRUE(fq->set_qparams(1.0 / 128).ok());
  EXPECT_TRUE(fq->is_calibrated());
  fq->forward(random({50}, 1, 100.0));
  EXPECT_EQ(fq->scale().item<float>(), 1.0F / 128);
}

TEST(FakeQuantizeTest, AnObserverThatIsTurnedOnAgainObserves) {
  auto fq = made();
  ASSERT_TRUE(fq->set_qparams(1.0 / 128).ok());
  EXPECT_FALSE(fq->observer_enabled());
  fq->enable_observer(true);
  EXPECT_TRUE(fq->observer_enabled());
  fq->forward(at::ones({4}));
  EXPECT_EQ(fq->scale().item<float>(), 1.0F / 127.5F);
  EXPECT_FALSE(fq->has_fixed_qparams());
}

TEST(FakeQuantizeTest, SetQparamsTakesASequence) {
  auto fq = made({{"observer", "MovingAveragePerChannelMinMaxObserver"}, {"channel_len", 2}});
  ASSERT_TRUE(fq->set_qparams({0.25, 0.5}).ok());
  EXPECT_TRUE(at::equal(fq->scale(), at::tensor({0.25F, 0.5F})));
  ASSERT_TRUE(fq->set_qparams({0.5, 0.5}, {0, 0}).ok());
  EXPECT_FALSE(fq->set_qparams({0.5, 0.5}, {0}).ok());
  EXPECT_FALSE(fq->set_qparams({0.5, 0.5}, {0, 1}).ok());
  EXPECT_THAT(std::string(fq->set_qparams({0.5, 0.5, 0.5}).message()), HasSubstr("wants 2"));
}

TEST(FakeQuantizeTest, WithArgs) {
  const auto factory = FakeQuantize::with_args({{"dtype", "qint16"}});
  ASSERT_TRUE(factory.ok()) << factory.status();
  const auto other = factory->with_args({{"averaging_constant", 0.5}});
  const auto a = *(*other)();
  const auto b = *(*other)();
  EXPECT_NE(a, b);
  EXPECT_EQ(a->dtype(), DType::kI16);
  EXPECT_EQ(a->options().observer_kwargs.averaging_constant, 0.5);
  EXPECT_EQ((*FakeQuantize::create())->options().observer, "MovingAverageMinMaxObserver");
}

// As ATen's backward, element by element; and as the slope of the staircase over many steps.
TEST(FakeQuantizeTest, GradientsAreATens) {
  const at::Tensor g = random({4, 6}, 9);
  const auto gradient = [&](const at::Tensor& leaf, const at::Tensor& y) {
    leaf.mutable_grad() = at::Tensor();
    y.backward(g);
    return leaf.grad().clone();
  };
  const at::Tensor x = random({4, 6}, 4, 2.0).set_requires_grad(true);
  auto one = made();
  ASSERT_TRUE(one->set_qparams(0.01).ok());
  EXPECT_TRUE(at::equal(gradient(x, one->forward(x)),
                        gradient(x, at::fake_quantize_per_tensor_affine(x, 0.01F, 0, -128, 127))));
  auto each = made({{"observer", "MovingAveragePerChannelMinMaxObserver"}, {"channel_len", 4}});
  ASSERT_TRUE(each->set_qparams({0.001, 0.01, 0.02, 0.5}).ok());
  EXPECT_TRUE(at::equal(gradient(x, each->forward(x)),
                        gradient(x, at::fake_quantize_per_channel_affine(
                                        x, each->scale(), each->zero_point(), 0, -128, 127))));
  const at::NoGradGuard no_grad;
  const double h = 0.1;  // ten steps
  const at::Tensor slope = (one->forward(x + h) - one->forward(x - h)) / (2 * h);
  const at::Tensor inside = x.abs().lt(1.27 - h), outside = x.abs().gt(1.28 + h);
  const at::Tensor analytic = x.abs().lt(1.275).to(at::kFloat);
  EXPECT_LE((slope - analytic).masked_select(inside.logical_or(outside)).abs().max().item<float>(),
            0.11F);
}

TEST(FakeQuantizeTest, CopiesDoNotShareState) {
  auto fq = made();
  fq->forward(at::ones({4}));
  auto copy = std::dynamic_pointer_cast<FakeQuantize>(fq->clone_leaf());
  EXPECT_TRUE(at::equal(copy->scale(), fq->scale()));
  copy->forward(at::ones({4}) * 50);
  copy->enable_observer(false);
  EXPECT_EQ(fq->scale().item<float>(), 1.0F / 127.5F);
  EXPECT_TRUE(fq->observer_enabled());
}

TEST(FakeQuantizeTest, TextFormReadsBack) {
  auto fq =
      made({{"observer", "mse"}, {"dtype", "qint16"}, {"saturate", false}, {"quant_max", 100}});
  fq->forward(random({9}));
  auto again = read_fake_quantize(fq->tensors(), fq->attributes());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ((*again)->attributes(), fq->attributes());
  const at::Tensor x = random({9}, 2);
  fq->enable_observer(false);
  std::dynamic_pointer_cast<FakeQuantize>(*again)->enable_observer(false);
  EXPECT_TRUE(at::equal((*again)->call("forward", {x}).toTensor(), fq->forward(x)));
}

TEST(FakeQuantizeTest, UnknownArgumentsAreAllListed) {
  const auto bad = FakeQuantizeFactory().with_args({{"quant_mn", 3}, {"dtype", "int8"}});
  EXPECT_THAT(std::string(bad.status().message()), HasSubstr("quant_mn"));
  EXPECT_THAT(std::string(bad.status().message()), HasSubstr("did you mean \"quant_min\""));
  EXPECT_THAT(std::string(bad.status().message()), HasSubstr("'dtype' wants \"qint8\""));
}

TEST(FakeQuantizeTest, QSchemeAndFactoryKwargsByName) {
  const Argument buffers = DictArg{{{"device", "cpu"}, {"dtype", "float64"}}};
  auto fq = made({{"observer", "MovingAveragePerChannelMinMaxObserver"},
                  {"qscheme", "torch.per_channel_symmetric"},
                  {"factory_kwargs", buffers}});
  fq->forward(at::ones({1, 4}));
  EXPECT_EQ(fq->observer()->tensors()[0].second.scalar_type(), at::kDouble);
  auto again = read_fake_quantize(fq->tensors(), fq->attributes());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ((*again)->attributes(), fq->attributes());
  const auto affine = FakeQuantizeFactory().with_args({{"qscheme", "per_tensor_affine"}});
  EXPECT_THAT(std::string(affine.status().message()), HasSubstr("\"per_tensor_symmetric\" or"));
}

TEST(FakeQuantizeTest, ExtraRepr) {
  auto fq = made();
  ASSERT_TRUE(fq->set_qparams(0.25).ok());
  EXPECT_EQ(fq->extra_repr(),
            "fake_quant_enabled=true, observer_enabled=false, quant_min=-128, quant_max=127, "
            "dtype=qint8, qscheme=per_tensor_symmetric, observer=MovingAverageMinMaxObserver, "
            "scale=0.25, zero_point=0");
}

TEST(QConfigTest, Defaults) {
  const auto calib = get_default_calib_qconfig();
  ASSERT_TRUE(calib.ok()) << calib.status();
  EXPECT_EQ(calib->activation->options().observer, "MseObserver");
  const auto qat = get_default_qat_qconfig();
  EXPECT_EQ(qat->activation->options().observer, "MovingAverageMinMaxObserver");
  EXPECT_EQ(qat->activation->options().observer_kwargs.averaging_constant.value_or(0.01), 0.01);
  EXPECT_EQ(qat->weight->options().observer_kwargs.averaging_constant, 1.0);
  EXPECT_FALSE(get_default_qat_out_qconfig()->activation.has_value());
  EXPECT_EQ(get_default_calib_qconfig("int8").status().code(), absl::StatusCode::kInvalidArgument);
  QatQConfigOptions lsq;
  lsq.activation_fake_quant = "lsq";
  EXPECT_EQ(get_default_qat_qconfig(lsq)->activation->options().type, "lsq");
  lsq.activation_fake_quant = "lsd";
  EXPECT_EQ(get_default_qat_qconfig(lsq).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace fxq
