// Prepared graphs: what ONNX Runtime computes from the file is what VALIDATION computes.
#include <ATen/ops/eq.h>
#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include "compare.h"
#include "fxq/export/onnx_model.h"
#include "fxq/quant/compare.h"
#include "fxq/quant/fake_quantize.h"
#include "fxq/quant/fuse_fx.h"
#include "fxq/quant/prepare_fx.h"

namespace fxq::export_test {
namespace {

constexpr const char* kPreparedNet = R"(
module @a = conv2d(weight: f32[8,3,3,3], bias: none, padding=[1,1])
module @abn = batch_norm(weight: f32[8], bias: f32[8], running_mean: f32[8], running_var: f32[8], num_batches_tracked: i64[], momentum=0.1, eps=1e-05, cudnn_enabled=true)
module @cbn = batch_norm(weight: f32[8], bias: f32[8], running_mean: f32[8], running_var: f32[8], num_batches_tracked: i64[], momentum=0.1, eps=1e-05, cudnn_enabled=true)
module @c = conv2d(weight: f32[8,3,3,3], bias: f32[8], padding=[1,1])
module @b = conv_transpose2d(weight: f32[8,4,2,2], bias: f32[8], stride=[2,2], groups=2)
module @fc = linear(weight: f32[4,8], bias: f32[4])
module @head = linear(weight: f32[3,4], bias: none)
state @a.weight = normal(1, 0.3)
state @abn.weight = uniform(2, 0.5, 1.5)
state @abn.bias = normal(3, 0.1)
state @abn.running_mean = normal(4, 0.1)
state @abn.running_var = uniform(5, 0.5, 2.0)
state @cbn.weight = uniform(6, 0.5, 1.5)
state @cbn.bias = normal(7, 0.1)
state @cbn.running_mean = normal(8, 0.1)
state @cbn.running_var = uniform(9, 0.5, 2.0)
state @b.weight = normal(10, 0.3)
state @b.bias = normal(11, 0.1)
state @fc.weight = normal(12, 0.3)
state @fc.bias = normal(13, 0.1)
state @head.weight = normal(14, 0.3)
state @c.weight = normal(15, 0.3)
state @c.bias = normal(16, 0.1)
graph (%x: f32[4,3,8,8]) {
  %a = conv2d @a(%x)
  %abn = batch_norm @abn(%a)
  %r = relu(%abn)
  %b = conv_transpose2d @b(%r)
  %again = conv2d @c(%x)
  %more = batch_norm @cbn(%again)
  %p = max_pool2d(%b, [2,2])
  %s = add(%p, %more)
  %t = relu6(%s)
  %g = adaptive_avg_pool2d(%t, [1,1])
  %f = flatten(%g, 1)
  %fc = linear @fc(%f)
  %head = linear @head(%fc)
  %twice = add(%fc, %fc)
  %other = linear @head(%twice)
  return (%head, %s, %other)
}
)";

GraphModule net(bool training) {
  FloatNet made = text_net(kPreparedNet);
  made.graph.train(training);
  return std::move(made.graph);
}

std::vector<c10::IValue> inputs(uint64_t seed) { return random_inputs(net(false), seed); }

// Values that lie on a tie go either way (x * (1 / s) here, x / s there), by one step: few may.
void expect_file_is_validation(ObservedGraphModule& model, const ExportOptions& options,
                               const std::string& tag) {
  ExportSummary summary;
  const auto proto = build_onnx_model(model.graph_module(), inputs(7), options, summary);
  ASSERT_TRUE(proto.ok()) << tag << ": " << proto.status();
  EXPECT_TRUE(summary.is_prepared);
  EXPECT_GT(summary.operators["QuantizeLinear"], 5) << tag;
  EXPECT_EQ(summary.operators["BatchNormalization"], 0) << tag;
  model.graph_module().eval();
  ASSERT_TRUE(set_fake_quantize(model, FakeQuantState::VALIDATION).ok());
  const auto expected = model.forward(inputs(7));
  ASSERT_TRUE(expected.ok()) << expected.status();
  std::vector<std::string> names;
  for (const auto& output : (*proto)->graph().output()) names.push_back(output.name());
  const auto actual =
      run_onnx_runtime(**proto, {{"x", inputs(7)[0].toTensor().contiguous()}}, names);
  ASSERT_TRUE(actual.ok()) << tag << ": " << actual.status();
  const std::vector<at::Tensor> wanted = flatten_tensors(*expected);
  for (size_t i = 0; i < wanted.size(); ++i) {
    const at::Tensor got = actual->at(names[i]);
    const double largest = wanted[i].abs().max().item<double>();
    const at::Tensor off = (got - wanted[i]).abs().gt(1e-5 * largest);
    EXPECT_LE(off.sum().item<int64_t>(), wanted[i].numel() / 500) << tag << ", " << names[i];
    EXPECT_LE((got - wanted[i]).abs().max().item<double>(), 0.02 * largest) << tag;
  }
}

ExportOptions checked(int opset) {
  ExportOptions options;
  options.opset_version = opset;
  options.enable_onnx_checker = true;
  options.operator_export_type = OperatorExportTypes::kOnnx;
  return options;
}

ObservedGraphModule calibrated() {
  auto fused = fuse_fx(net(false));
  EXPECT_TRUE(fused.ok()) << fused.status();
  auto model = prepare_calibration_fx(*fused);
  EXPECT_TRUE(model.ok()) << model.status();
  for (const uint64_t seed : {1, 2}) EXPECT_TRUE(model->forward(inputs(seed)).ok());
  return *std::move(model);
}

QConfigDict standard() {
  QConfigDict qconfigs;
  qconfigs.global = *get_default_qat_qconfig();
  return qconfigs;
}

ObservedGraphModule trained(const QConfigDict& qconfigs, QatMode mode) {
  PrepareOptions options;
  options.qat_mode = mode;
  GraphModule gm = net(mode != QatMode::FuseBN);
  auto model = prepare_qat_fx(gm, qconfigs, options);
  EXPECT_TRUE(model.ok()) << model.status();
  model->graph_module().train();
  EXPECT_TRUE(set_fake_quantize(*model, FakeQuantState::QAT).ok());
  for (const uint64_t seed : {1, 2}) EXPECT_TRUE(model->forward(inputs(seed)).ok());
  return *std::move(model);
}

class PreparedTest : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    if (!has_onnx_runtime()) GTEST_SKIP() << "no ONNX Runtime: run ./dev setup";
  }
};

TEST_P(PreparedTest, Calibrated) {
  ObservedGraphModule model = calibrated();
  expect_file_is_validation(model, checked(GetParam()), "calibrated");
}

TEST_P(PreparedTest, TrainedWithBatchNormFolded) {
  ObservedGraphModule model = trained(standard(), QatMode::FuseBN);
  expect_file_is_validation(model, checked(GetParam()), "FuseBN");
}

TEST_P(PreparedTest, TrainedWithBatchNormInside) {
  ObservedGraphModule model = trained(standard(), QatMode::WithBN);
  ASSERT_TRUE(model.graph_module().is_training());
  expect_file_is_validation(model, checked(GetParam()), "WithBN");
}

INSTANTIATE_TEST_SUITE_P(Opsets, PreparedTest, ::testing::Values(11, 13, 17));

TEST(PreparedGraphTest, LearnedScalesAreThePresentOnes) {
  if (!has_onnx_runtime()) GTEST_SKIP() << "no ONNX Runtime: run ./dev setup";
  for (const char* type : {"lsq", "pact"}) {
    QConfigDict qconfigs;
    QatQConfigOptions options;
    options.activation_fake_quant = type;
    options.weight_fake_quant = type;
    qconfigs.global = *get_default_qat_qconfig(options);
    ObservedGraphModule model = trained(qconfigs, QatMode::FuseBN);
    for (const auto& [path, fake_quant] : model.fake_quants()) {
      for (const auto& [name, tensor] : fake_quant->tensors()) {
        if (name == "alpha" || (name == "scale" && type == std::string("lsq"))) {
          fake_quant->set_tensor(name, tensor.detach() * 1.37);  // as an optimizer's step
        }
      }
    }
    expect_file_is_validation(model, checked(13), type);
  }
}

TEST(PreparedGraphTest, TheModelIsNotChanged) {
  ObservedGraphModule model = trained(standard(), QatMode::WithBN);
  std::vector<at::Tensor> before;
  for (const auto& [name, buffer] : model.graph_module().named_buffers()) {
    before.push_back(buffer.clone());
  }
  ExportSummary summary;
  ASSERT_TRUE(build_onnx_model(model.graph_module(), inputs(7), checked(13), summary).ok());
  size_t i = 0;
  for (const auto& [name, buffer] : model.graph_module().named_buffers()) {
    EXPECT_TRUE(buffer.equal(before[i++])) << name;
  }
  EXPECT_TRUE(model.graph_module().is_training());
  for (const auto& [path, fake_quant] : model.fake_quants()) {
    EXPECT_TRUE(fake_quant->observer_enabled() && fake_quant->fake_quant_enabled()) << path;
  }
}

TEST(PreparedGraphTest, WeightsAreInt8AndSharedByCallsOfOneModule) {
  ObservedGraphModule model = calibrated();
  ExportSummary summary;
  const auto proto = build_onnx_model(model.graph_module(), inputs(7), checked(13), summary);
  ASSERT_TRUE(proto.ok()) << proto.status();
  int weights = 0;
  for (const auto& tensor : (*proto)->graph().initializer()) {
    if (tensor.dims_size() < 2) continue;
    EXPECT_EQ(tensor.data_type(), onnx::TensorProto::INT8) << tensor.name();
    ++weights;
  }
  EXPECT_EQ(weights, 5);
}

TEST(PreparedGraphTest, ANarrowRangeIsClipped) {
  if (!has_onnx_runtime()) GTEST_SKIP() << "no ONNX Runtime: run ./dev setup";
  QConfigDict qconfigs;
  QConfig qconfig = *get_default_calib_qconfig();
  qconfig.activation =
      *FakeQuantizeFactory().with_args({{"quant_min", int64_t{-20}}, {"quant_max", int64_t{20}}});
  qconfigs.global = qconfig;
  const auto fused = fuse_fx(net(false));
  ASSERT_TRUE(fused.ok()) << fused.status();
  auto model = prepare_calibration_fx(*fused, qconfigs);
  ASSERT_TRUE(model.ok()) << model.status();
  ASSERT_TRUE(model->forward(inputs(1)).ok());
  for (const auto& [path, fake_quant] : model->fake_quants()) {
    if (path.find(".weight") == std::string::npos) {
      ASSERT_TRUE(fake_quant->set_qparams(0.05).ok());  // values beyond the range
    }
  }
  expect_file_is_validation(*model, checked(13), "narrow");
}

TEST(PreparedGraphTest, WhatNeverSawDataIsListed) {
  auto model = prepare_calibration_fx(net(false));
  ASSERT_TRUE(model.ok()) << model.status();
  const std::string path = scratch_directory() + "/m.onnx";
  const auto result = export_to_onnx(*model, inputs(1), path);
  EXPECT_EQ(result.status().code(), absl::StatusCode::kFailedPrecondition);
  const std::string text(result.status().message());
  EXPECT_NE(text.find("x_fq"), std::string::npos) << text;
  EXPECT_NE(text.find("calibration data"), std::string::npos) << text;
}

TEST(PreparedGraphTest, AFusedGraphOfTrainingGoesOutFolded) {
  if (!has_onnx_runtime()) GTEST_SKIP() << "no ONNX Runtime: run ./dev setup";
  FloatNet made{net(true), inputs(3)};
  auto fused = fuse_fx(made.graph);
  ASSERT_TRUE(fused.ok()) << fused.status();
  made.graph = *std::move(fused);
  ASSERT_TRUE(made.graph.is_training());
  ExportSummary summary;
  ExportOptions training = checked(13);
  training.training = TrainingMode::kTraining;
  const auto refused = build_onnx_model(made.graph, made.input, training, summary);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition) << refused.status();
  made.graph.eval();
  FloatCheck check;
  check.options = checked(13);
  check.tag = "fused";
  expect_same_floats(made, check);
}

}  // namespace
}  // namespace fxq::export_test
