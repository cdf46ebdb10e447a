// Where fake quants stand, which values share one, and what the report says.
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "fxq/graph/text.h"
#include "fxq/quant/convert_fx.h"
#include "fxq/quant/fake_quantize.h"
#include "fxq/quant/fuse_fx.h"
#include "fxq/quant/prepare_fx.h"
#include "fxq/quant/qconfig_resolver.h"
#include "nets.h"

namespace fxq {
namespace {

using quant_test::graph_text;
using quant_test::kConvReluLinear;
using quant_test::net;
using quant_test::random;
using ::testing::HasSubstr;
using ::testing::Not;

ObservedGraphModule prepared(const std::string& text, const PrepareOptions& options = {},
                             const QConfigDict& dict = {}) {
  QConfigDict qconfigs = dict;
  if (!qconfigs.global) qconfigs.global = *get_default_calib_qconfig();
  auto observed = prepare_calibration_fx(net(text), qconfigs, options);
  EXPECT_TRUE(observed.ok()) << observed.status();
  return *std::move(observed);
}

std::string dtype_of(const ObservedGraphModule& model, const std::string& path) {
  auto module = std::dynamic_pointer_cast<FakeQuantize>(model.graph_module().module(path));
  return module ? std::string(qdtype_name(module->dtype())) : "none";
}

// It was taken for the axis of the output channels, whatever it was.
TEST(PrepareTest, WeightsHaveScalesAlongTheirOutputChannels) {
  QatQConfigOptions options;
  options.weight_qkwargs = {{"observer", "MovingAveragePerChannelMinMaxObserver"}, {"ch_axis", 1}};
  QConfigDict dict;
  dict.global = *get_default_qat_qconfig(options);
  const auto observed = prepare_calibration_fx(net(kConvReluLinear), dict);
  EXPECT_THAT(std::string(observed.status().message()),
              HasSubstr("ch_axis 1: the output channels of conv2d are axis 0 of its weight"));
  EXPECT_THAT(std::string(observed.status().message()),
              HasSubstr("the output channels of linear are axis 0 of its weight"));
}

TEST(PrepareTest, MovedIntegersShareTheirSource) {
  const auto observed = prepared(R"(
module @a = conv2d(weight: f32[4,3,3,3], bias: none, padding=[1,1])
graph (%x: f32[2,3,8,8]) {
  %a = conv2d @a(%x) : f32[2,4,8,8]
  %r = relu(%a) : f32[2,4,8,8]
  %p = max_pool2d(%r, [2,2]) : f32[2,4,4,4]
  %f = flatten(%p, 1) : f32[2,64]
  %c = chunk(%p, 2, 1) : (f32[2,2,4,4], f32[2,2,4,4])
  %g = getitem(%c, 0) : f32[2,2,4,4]
  %t = tanh(%g) : f32[2,2,4,4]
  return (%f, %t)
}
)");
  EXPECT_EQ(graph_text(observed.graph_module()), R"(graph (%x) {
  %x_fq = fake_quantize @x_fq(%x)
  %r = fq_conv2d @a(%x_fq, activation="relu")
  %r_fq = fake_quantize @r_fq(%r)
  %p = max_pool2d(%r_fq, [2,2])
  %f = flatten(%p, 1)
  %c = chunk(%p, 2, 1)
  %g = getitem(%c, 0)
  %t = tanh(%g)
  %t_fq = fake_quantize @t_fq(%t)
  return (%f, %t_fq)
}
)");
  EXPECT_EQ(dtype_of(observed, "x_fq"), "qint8");
  EXPECT_EQ(dtype_of(observed, "r_fq"), "quint8");
  EXPECT_EQ(dtype_of(observed, "t_fq"), "qint8");
}

constexpr const char* kCat = R"(
module @a = conv2d(weight: f32[4,3,1,1], bias: none)
module @b = conv2d(weight: f32[4,3,1,1], bias: none)
graph (%x: f32[2,3,8,8]) {
  %a = conv2d @a(%x) : f32[2,4,8,8]
  %b = conv2d @b(%x) : f32[2,4,8,8]
  %p = max_pool2d(%b, [1,1]) : f32[2,4,8,8]
  %c = cat([%a,%p], 1) : f32[2,8,8,8]
  return %c
}
)";

TEST(PrepareTest, CatHasItsOwnScale) {
  EXPECT_EQ(graph_text(prepared(kCat).graph_module()), R"(graph (%x) {
  %x_fq = fake_quantize @x_fq(%x)
  %a = fq_conv2d @a(%x_fq)
  %a_fq = fake_quantize @a_fq(%a)
  %b = fq_conv2d @b(%x_fq)
  %b_fq = fake_quantize @b_fq(%b)
  %p = max_pool2d(%b_fq, [1,1])
  %c = cat([%a_fq, %p], 1)
  %c_fq = fake_quantize @c_fq(%c)
  return %c_fq
}
)");
}

TEST(PrepareTest, OptimizeGraphGivesCatOneScale) {
  PrepareOptions options;
  options.optimize_graph = true;
  auto observed = prepared(kCat, options);
  EXPECT_EQ(graph_text(observed.graph_module()), R"(graph (%x) {
  %x_fq = fake_quantize @x_fq(%x)
  %a = fq_conv2d @a(%x_fq)
  %a_fq = fake_quantize @a_fq(%a)
  %b = fq_conv2d @b(%x_fq)
  %b_fq = fake_quantize @a_fq(%b)
  %p = max_pool2d(%b_fq, [1,1])
  %c = cat([%a_fq, %p], 1)
  return %c
}
)");
  ASSERT_TRUE(observed.forward({random({2, 3, 8, 8})}).ok());
  auto quantized = convert_fx(observed);
  ASSERT_TRUE(quantized.ok()) << quantized.status();
  const Graph& graph = quantized->graph_module().graph();
  EXPECT_EQ(graph.find("c")->type.qparams, graph.find("a")->type.qparams);
  EXPECT_TRUE(quantized->forward({random({2, 3, 8, 8})}).ok());
}

TEST(PrepareTest, SignsDecideTheDtype) {
  const char* text = R"(
module @a = conv2d(weight: f32[4,3,1,1], bias: none)
graph (%x: f32[2,3,8,8]) {
  %a = conv2d @a(%x) : f32[2,4,8,8]
  %s = sigmoid(%a) : f32[2,4,8,8]
  %r = relu6(%a) : f32[2,4,8,8]
  %m = mul(%s, %s) : f32[2,4,8,8]
  %c = cat([%s,%m], 1) : f32[2,8,8,8]
  %d = cat([%s,%a], 1) : f32[2,8,8,8]
  %p = avg_pool2d(%c, [2,2]) : f32[2,8,4,4]
  %q = sub(%p, %p) : f32[2,8,4,4]
  return (%r, %d, %q)
}
)";
  const auto cpu = prepared(text);
  for (const char* path : {"s_fq", "m_fq", "c_fq", "p_fq"})
    EXPECT_EQ(dtype_of(cpu, path), "quint8") << path;
  for (const char* path : {"x_fq", "a_fq", "d_fq", "q_fq"})
    EXPECT_EQ(dtype_of(cpu, path), "qint8") << path;
  PrepareOptions options;
  options.march = March::BAYES;
  EXPECT_EQ(dtype_of(prepared(text, options), "s_fq"), "qint8");
}

TEST(PrepareTest, FloatReadersKeepTheFloatValue) {
  const auto observed = prepared(R"(
module @a = conv2d(weight: f32[4,4,1,1], bias: none)
graph (%x: f32[2,4,8,8]) {
  %s = softmax(%x, 1) : f32[2,4,8,8]
  %a = conv2d @a(%s) : f32[2,4,8,8]
  %m = maximum(%s, %a) : f32[2,4,8,8]
  return %m
}
)");
  EXPECT_EQ(graph_text(observed.graph_module()), R"(graph (%x) {
  %s = softmax(%x, 1)
  %s_fq = fake_quantize @s_fq(%s)
  %a = fq_conv2d @a(%s_fq)
  %a_fq = fake_quantize @a_fq(%a)
  %m = maximum(%s, %a_fq)
  return %m
}
)");
  EXPECT_EQ(dtype_of(observed, "s_fq"), "quint8");
}

TEST(PrepareTest, ReportSaysWhy) {
  QConfigDict dict;
  dict.module_name = {{"b", std::nullopt}};
  const auto observed = prepared(R"(
module @a = conv2d(weight: f32[4,3,1,1], bias: none)
module @b = conv2d(weight: f32[4,4,1,1], bias: none)
graph (%x: f32[2,3,8,8], %i: i64[2,4]) {
  %a = conv2d @a(%x) : f32[2,4,8,8]
  %b = conv2d @b(%a) : f32[2,4,8,8]
  %m = maximum(%b, %b) : f32[2,4,8,8]
  %e = aten::special_i0e(%m) : f32[2,4,8,8]
  %s = add(%a, %e, alpha=2) : f32[2,4,8,8]
  %v = flatten(%s, 1) : f32[2,256]
  %j = add(%i, %i) : i64[2,4]
  %k = mean(%a, [1,2,3]) : f32[2]
  return (%v, %j, %k)
}
)",
                                 {}, dict);
  EXPECT_EQ(observed.report.to_string(), R"(%a conv2d int8
%b conv2d float E002 its qconfig says not to quantize
%m maximum float E001 CPU has no integer kernel
%e aten::special_i0e float E001 CPU has no integer kernel
%s add float E003 alpha is not 1
%v flatten float E006 its operand %s is float
%j add float E004 operand %i is i64, not f32
%k mean float E005 its result %k has rank 1; integer kernels take 2 to 5
note: no QuantStub in the model: quantized at %x
)");
}

TEST(PrepareTest, MarchesSupportWhatTheirTablesSay) {
  PrepareOptions options;
  options.march = March::BERNOULLI2;
  options.hybrid = true;
  const auto observed = prepared(kConvReluLinear, options);
  EXPECT_EQ(observed.report.find("fc")->code, "E001");
  EXPECT_EQ(observed.report.find("relu")->mode, OpMode::kInt8);
  EXPECT_EQ(observed.march(), March::BERNOULLI2);
}

TEST(PrepareTest, QConfigPriorities) {
  const QConfig wide = *get_default_calib_qconfig("qint16");
  const QConfig narrow = *get_default_calib_qconfig();
  GraphModule gm = net(kConvReluLinear);
  gm.graph().find("conv")->owner = {"body.conv", "torch.nn.modules.conv.Conv2d"};
  gm.graph().find("pool")->owner = {"body", "Body"};
  QConfigDict dict;
  const Node& conv = *gm.graph().find("conv");
  auto is_wide = [&] {
    const QConfig* found = QConfigResolver(gm, dict).find(conv);
    return found && found->activation->options().observer_kwargs.dtype == DType::kI16;
  };
  EXPECT_EQ(QConfigResolver(gm, dict).find(conv), nullptr);
  dict.global = wide;
  EXPECT_TRUE(is_wide());
  dict.module_type = {{"Conv2d", narrow}};
  EXPECT_FALSE(is_wide());
  dict.module_type = {{"Body", narrow}, {"Linear", wide}};
  EXPECT_FALSE(is_wide());
  dict.module_name = {{"body", wide}, {"body.co", narrow}};
  EXPECT_TRUE(is_wide());
  dict.module_name.emplace_back("body.conv", narrow);
  EXPECT_FALSE(is_wide());
  dict.module_qconfig = {{"body.conv", std::nullopt}};
  EXPECT_EQ(QConfigResolver(gm, dict).find(conv), nullptr);
}

// Captured modules are called from their parents' code, which owns the calls.
TEST(PrepareTest, QConfigsReachTheModulesThatAreCalled) {
  GraphModule gm = net(kConvReluLinear);
  Node& fc = *gm.graph().find("fc");
  fc.owner = {"", "Net"};
  QConfigDict dict;
  dict.global = *get_default_calib_qconfig();
  EXPECT_NE(QConfigResolver(gm, dict).find(fc), nullptr);
  dict.module_name = {{"fc", std::nullopt}};
  EXPECT_EQ(QConfigResolver(gm, dict).find(fc), nullptr);
  dict.module_name = {};
  dict.module_type = {{gm.module("fc")->class_name(), std::nullopt}};
  EXPECT_EQ(QConfigResolver(gm, dict).find(fc), nullptr);
}

TEST(PrepareTest, NamesThatMatchNothingAreListed) {
  const GraphModule gm = net(kConvReluLinear);
  QConfigDict dict;
  dict.global = *get_default_calib_qconfig();
  dict.module_name = {{"fcc", std::nullopt}, {"fc", std::nullopt}};
  dict.module_type = {{"Conv2", std::nullopt}};
  const std::string message(prepare_calibration_fx(gm, dict).status().message());
  EXPECT_THAT(message, HasSubstr("there is no module 'fcc'; did you mean \"fc\"?"));
  EXPECT_THAT(message, HasSubstr("there is no module of class 'Conv2'"));
  EXPECT_THAT(message, Not(HasSubstr("'fc'")));
}

TEST(PrepareTest, AnActivationHasOneScale) {
  QConfigDict dict;
  dict.global = *get_default_calib_qconfig(
      "qint8", {{"observer", Argument("MovingAveragePerChannelMinMaxObserver")}});
  EXPECT_THAT(std::string(prepare_calibration_fx(net(kConvReluLinear), dict).status().message()),
              HasSubstr("an activation has one scale"));
}

TEST(PrepareTest, RequestsThatMakeNoSense) {
  const GraphModule gm = net(kConvReluLinear);
  PrepareOptions hybrid;  // March::CPU has no other device
  hybrid.hybrid = true;
  EXPECT_EQ(prepare_calibration_fx(gm, hybrid).status().code(), absl::StatusCode::kInvalidArgument);
  auto observed = prepare_calibration_fx(gm);
  EXPECT_EQ(prepare_calibration_fx(observed->graph_module()).status().code(),
            absl::StatusCode::kFailedPrecondition);
  GraphModule training = gm.copy();
  training.train();
  EXPECT_THAT(std::string(prepare_calibration_fx(training).status().message()),
              HasSubstr("call eval() first"));
  PrepareOptions no_stubs;
  no_stubs.auto_stubs = false;
  EXPECT_THAT(std::string(prepare_calibration_fx(gm, no_stubs).status().message()),
              HasSubstr("%x feed integer ops without a QuantStub"));
  QConfigDict cpu_on_bpu;
  cpu_on_bpu.global = *get_default_calib_qconfig("qint8", {}, "cpu");
  PrepareOptions bayes;
  bayes.march = March::BAYES;
  EXPECT_THAT(std::string(prepare_calibration_fx(gm, cpu_on_bpu, bayes).status().message()),
              HasSubstr("which BAYES does not have"));
}

TEST(PrepareTest, StubsAndFixedScales) {
  const char* text = R"(
module @quant = quant_stub(scale=0.0078125)
module @a = conv2d(weight: f32[4,3,1,1], bias: none)
module @dequant = dequant_stub()
graph (%x: f32[2,3,8,8]) {
  %q = quant_stub @quant(%x) : f32[2,3,8,8]
  %a = conv2d @a(%q) : f32[2,4,8,8]
  %d = dequant_stub @dequant(%a) : f32[2,4,8,8]
  return %d
}
)";
  auto observed = prepared(text);
  ASSERT_TRUE(observed.forward({random({2, 3, 8, 8}, 1, 50.0)}).ok());
  auto quantized = convert_fx(observed);
  ASSERT_TRUE(quantized.ok()) << quantized.status();
  EXPECT_EQ(graph_text(quantized->graph_module()), R"(graph (%x) {
  %q_q = quantize(%x)
  %a = conv2d @a(%q_q)
  %a_dq = dequantize(%a)
  return %a_dq
}
)");
  EXPECT_EQ(quantized->graph_module().graph().find("q_q")->type.qparams->scale, 1.0F / 128);
}

TEST(PrepareTest, AWeightThatIsNoNumberIsNamedByTheFirstRunAndByConvert) {
  GraphModule gm = net(kConvReluLinear);
  gm.module("fc")->set_tensor("weight", at::full({10, 8}, std::nanf("")));
  const auto observed = prepare_calibration_fx(gm);
  ASSERT_TRUE(observed.ok()) << observed.status();
  const std::string run(observed->forward({random({2, 3, 8, 8})}).status().message());
  EXPECT_THAT(run, HasSubstr("fc"));
  EXPECT_THAT(run, HasSubstr("its weight cannot be quantized"));
  ConvertOptions options;
  options.allow_uncalibrated = true;
  const std::string converted(convert_fx(*observed, options).status().message());
  EXPECT_THAT(converted, HasSubstr("%fc (fc): its weight cannot be quantized"));
}

TEST(PrepareTest, WeightsHaveTheirScaleWithoutData) {
  auto observed = prepared(kConvReluLinear);
  ASSERT_TRUE(set_fake_quantize(observed, FakeQuantState::VALIDATION).ok());
  ASSERT_TRUE(observed.forward({random({2, 3, 8, 8})}).ok());
  for (const auto& [path, fake_quant] : observed.fake_quants()) {
    EXPECT_EQ(fake_quant->is_calibrated(), path == "conv.weight" || path == "fc.weight") << path;
  }
  EXPECT_THAT(std::string(convert_fx(prepared(kConvReluLinear)).status().message()),
              Not(HasSubstr("weight")));
}

TEST(PrepareTest, StatesAreOneCall) {
  auto observed = prepared(kConvReluLinear);
  const at::Tensor x = random({2, 3, 8, 8});
  const at::Tensor expected = net(kConvReluLinear).forward({x})->toTensor();
  EXPECT_TRUE(observed.forward({x})->toTensor().allclose(expected, 1e-4, 1e-5));
  ASSERT_TRUE(set_fake_quantize(observed, FakeQuantState::VALIDATION).ok());
  const at::Tensor first = observed.forward({x})->toTensor();
  EXPECT_FALSE(at::equal(first, expected));
  ASSERT_TRUE(observed.forward({x * 9}).ok());
  EXPECT_TRUE(at::equal(observed.forward({x})->toTensor(), first)) << "validation must not observe";
  EXPECT_EQ(set_fake_quantize(observed, FakeQuantState::QAT).code(),
            absl::StatusCode::kFailedPrecondition);
  observed.graph_module().train();
  EXPECT_TRUE(set_fake_quantize(observed, FakeQuantState::QAT).ok());
  EXPECT_FALSE(set_fake_quantize(observed, FakeQuantState::VALIDATION).ok());
}

TEST(PrepareTest, TheCallersModelStaysAsItIs) {
  const GraphModule gm = net(kConvReluLinear);
  const std::string before = print_text(gm);
  const at::Tensor x = random({2, 3, 8, 8});
  const at::Tensor y = gm.forward({x})->toTensor();
  auto observed = prepare_calibration_fx(gm);
  ASSERT_TRUE(observed->forward({x}).ok());
  ASSERT_TRUE(convert_fx(*observed).ok());
  EXPECT_EQ(print_text(gm), before);
  EXPECT_TRUE(at::equal(gm.forward({x})->toTensor(), y));
}

TEST(PrepareTest, PreservedAttributesStay) {
  const std::string text = std::string(R"(
module @unused.norm = batch_norm(weight: f32[3], bias: f32[3], running_mean: f32[3], running_var: f32[3], momentum=0.1, eps=1e-05, cudnn_enabled=true)
)") + kConvReluLinear;
  const GraphModule gm = net(text);
  EXPECT_FALSE(fuse_fx(gm)->module("unused.norm"));
  FuseOptions fuse;
  fuse.fuse_custom_config.preserved_attributes = {"unused"};
  EXPECT_TRUE(fuse_fx(gm, fuse)->module("unused.norm"));
  PrepareOptions options;
  options.prepare_custom_config.preserved_attributes = {"unused"};
  const auto observed = prepared(text, options);
  EXPECT_TRUE(observed.graph_module().module("unused.norm"));
  ASSERT_TRUE(observed.forward({random({2, 3, 8, 8})}).ok());
  EXPECT_FALSE(convert_fx(observed)->graph_module().module("unused.norm"));
  ConvertOptions convert;
  convert.convert_custom_config.preserved_attributes = {"unused"};
  EXPECT_TRUE(convert_fx(observed, convert)->graph_module().module("unused.norm"));
  fuse.fuse_custom_config.preserved_attributes = {"unuzed.norm"};
  EXPECT_THAT(std::string(fuse_fx(gm, fuse).status().message()), HasSubstr("\"unused.norm\""));
}

class SavedTest : public ::testing::Test {
 protected:
  std::string path_ = ::testing::TempDir() + "fxq_quant_saved.fxq";
  void TearDown() override { std::filesystem::remove(path_); }
};

TEST_F(SavedTest, ObservedGraphResumes) {
  auto observed = prepared(kConvReluLinear);
  ASSERT_TRUE(observed.forward({random({2, 3, 8, 8}, 1)}).ok());
  ASSERT_TRUE(save(observed, path_).ok());
  auto loaded = load_observed(path_);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->report.to_string() + "note: no QuantStub in the model: quantized at %x\n",
            observed.report.to_string());
  for (ObservedGraphModule* model : {&observed, &*loaded}) {
    ASSERT_TRUE(model->forward({random({2, 3, 8, 8}, 2)}).ok());
  }
  const at::Tensor x = random({2, 3, 8, 8}, 3);
  auto a = convert_fx(observed);
  auto b = convert_fx(*loaded);
  ASSERT_TRUE(b.ok()) << b.status();
  EXPECT_EQ(print_text(a->graph_module()), print_text(b->graph_module()));
  EXPECT_TRUE(at::equal(a->forward({x})->toTensor(), b->forward({x})->toTensor()));
}

TEST_F(SavedTest, QuantizedGraph) {
  auto observed = prepared(kConvReluLinear);
  ASSERT_TRUE(observed.forward({random({2, 3, 8, 8}, 1)}).ok());
  auto quantized = convert_fx(observed);
  ASSERT_TRUE(save(*quantized, path_).ok());
  auto loaded = load_quantized(path_);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(print_text(loaded->graph_module()), print_text(quantized->graph_module()));
  EXPECT_EQ(loaded->report.count(OpMode::kInt8), 4);
  const at::Tensor x = random({2, 3, 8, 8}, 3);
  EXPECT_TRUE(at::equal(loaded->forward({x})->toTensor(), quantized->forward({x})->toTensor()));
  EXPECT_FALSE(load_observed(path_).ok());
}

// "module @x_fq: unknown kind of module 'fake_quantize'", thirty lines of it.
TEST_F(SavedTest, APreparedGraphIsNoQuantizedOne) {
  ASSERT_TRUE(save(prepared(kConvReluLinear), path_).ok());
  EXPECT_THAT(std::string(load_quantized(path_).status().message()),
              HasSubstr("QuantizedGraph wants a graph of stage \"quantized\""));
}

}  // namespace
}  // namespace fxq
