// Small integer graphs: each kernel family through QDQ, one node at a time, and the form of the
// file.
#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <map>

#include "compare.h"
#include "fxq/export/onnx_model.h"
#include "fxq/graph/op_module.h"
#include "fxq/graph/view.h"
#include "fxq/quant/compare.h"

namespace fxq::export_test {
namespace {

constexpr const char* kNet = R"(
module @conv = conv2d(weight: f32[8,3,3,3], bias: f32[8], padding=[1,1])
module @dw = conv2d(weight: f32[8,1,3,3], bias: f32[8], padding=[1,1], groups=8)
module @up = conv_transpose2d(weight: f32[8,4,2,2], bias: f32[8], stride=[2,2], groups=2)
module @prelu = prelu(weight: f32[8])
module @fc = linear(weight: f32[10,8], bias: f32[10])
state @conv.weight = normal(1, 0.2)
state @conv.bias = normal(2, 0.3)
state @dw.weight = normal(3, 0.3)
state @dw.bias = normal(4, 0.3)
state @up.weight = normal(5, 0.3)
state @up.bias = normal(6, 0.3)
state @prelu.weight = uniform(7, 0.1, 0.4)
state @fc.weight = normal(8, 0.3)
state @fc.bias = normal(9)
graph (%x: f32[2,3,8,8]) {
  %conv = conv2d @conv(%x)
  %relu = relu(%conv)
  %dw = conv2d @dw(%relu)
  %sum = add(%dw, %relu)
  %relu6 = relu6(%sum)
  %up = conv_transpose2d @up(%relu6)
  %prelu = prelu @prelu(%up)
  %sig = sigmoid(%prelu)
  %gate = mul(%sig, %up)
  %pool = max_pool2d(%gate, [3,3], [2,2], [1,1])
  %avg = avg_pool2d(%pool, [2,2])
  %parts = chunk(%avg, 2, 1)
  %left = getitem(%parts, 0)
  %right = getitem(%parts, 1)
  %cat = cat([%right, %left], 1)
  %shuffled = permute(%cat, [0,2,3,1])
  %back = permute(%shuffled, [0,3,1,2])
  %near = upsample_nearest2d(%back, none, [2.0,2.0])
  %gap = adaptive_avg_pool2d(%near, [1,1])
  %flat = flatten(%gap, 1)
  %fc = linear @fc(%flat)
  return %fc
}
)";

std::map<std::string, int> operators(const onnx::ModelProto& model) {
  std::map<std::string, int> count;
  for (const auto& node : model.graph().node()) ++count[node.op_type()];
  return count;
}

TEST(QdqTest, NodesAreWithinOneStep) {
  if (!has_onnx_runtime()) GTEST_SKIP() << "no ONNX Runtime: run ./dev setup";
  const FloatNet net = text_net(kNet);
  const auto quantized = quantize_net(net);
  ASSERT_TRUE(quantized);
  EXPECT_EQ(quantized->report.count(OpMode::kFloat), 0) << quantized->report.to_string();
  expect_nodes_within_one_step(*quantized, net.input);
}

// Parts of a sigmoid, which is unsigned, of unequal sizes: they went out as signed integers, and
// what is above 127 was cut off.
TEST(QdqTest, UnequalPartsOfAnUnsignedValue) {
  if (!has_onnx_runtime()) GTEST_SKIP() << "no ONNX Runtime: run ./dev setup";
  const FloatNet net = text_net(R"(
module @conv = conv2d(weight: f32[6,3,3,3], bias: f32[6], padding=[1,1])
state * = normal(1)
graph (%x: f32[2,3,8,8]) {
  %conv = conv2d @conv(%x)
  %sig = sigmoid(%conv)
  %parts = split_with_sizes(%sig, [1,2,3], 1)
  %a = getitem(%parts, 0)
  %b = getitem(%parts, 1)
  %c = getitem(%parts, 2)
  %cat = cat([%c, %a, %b], 1)
  return %cat
}
)");
  const auto quantized = quantize_net(net);
  ASSERT_TRUE(quantized);
  expect_nodes_within_one_step(*quantized, net.input);
}

// A scalar scale, which opset 10 has already.
TEST(QdqTest, PerTensorWeights) {
  if (!has_onnx_runtime()) GTEST_SKIP() << "no ONNX Runtime: run ./dev setup";
  const FloatNet net = text_net(kNet);
  QConfig qconfig = *get_default_calib_qconfig();
  qconfig.weight = *FakeQuantizeFactory().with_args({{"observer", "MovingAverageMinMaxObserver"}});
  const auto quantized = quantize_net(net, qconfig);
  ASSERT_TRUE(quantized);
  expect_nodes_within_one_step(*quantized, net.input);
  ExportOptions options;
  options.opset_version = 11;
  ExportSummary summary;
  const auto model = build_onnx_model(quantized->graph_module(), net.input, options, summary);
  ASSERT_TRUE(model.ok()) << model.status();
  for (const auto& tensor : (*model)->graph().initializer()) {
    if (tensor.name() != "conv.weight_scale") continue;
    EXPECT_EQ(tensor.dims_size(), 0);
  }
}

TEST(QdqTest, WeightsAndNames) {
  const FloatNet net = text_net(kNet);
  const auto quantized = quantize_net(net);
  ASSERT_TRUE(quantized);
  ExportOptions options;
  options.opset_version = 13;
  options.enable_onnx_checker = true;
  ExportSummary summary;
  const auto model = build_onnx_model(quantized->graph_module(), net.input, options, summary);
  ASSERT_TRUE(model.ok()) << model.status();
  std::map<std::string, int> types;
  for (const auto& tensor : (*model)->graph().initializer())
    types[tensor.name()] = tensor.data_type();
  EXPECT_EQ(types["conv.weight"], onnx::TensorProto::INT8);
  EXPECT_EQ(types["conv.bias"], onnx::TensorProto::INT32);
  EXPECT_EQ(types["conv.weight_scale"], onnx::TensorProto::FLOAT);
  EXPECT_EQ(operators(**model)["Conv"], 2);
  ASSERT_EQ((*model)->graph().output_size(), 1);
  EXPECT_EQ((*model)->graph().output(0).name(), "fc");
  EXPECT_EQ(summary.outputs.at(0).type, "f32[2,10]");
  bool has_integers = false;
  for (const auto& node : (*model)->graph().node()) {
    has_integers |= node.op_type() == "QuantizeLinear" && node.output(0) == "relu_q";
  }
  EXPECT_TRUE(has_integers);
}

std::vector<float> initializer_floats(const onnx::ModelProto& model, const std::string& name) {
  for (const auto& tensor : model.graph().initializer()) {
    if (tensor.name() != name) continue;
    std::vector<float> values(tensor.raw_data().size() / sizeof(float));
    std::memcpy(values.data(), tensor.raw_data().data(), tensor.raw_data().size());
    return values;
  }
  ADD_FAILURE() << "no initializer " << name;
  return {};
}

// True if a scale within a few units in the last place gives the multiplier.
bool has_scale(float in, float scale, float out, float wanted) {
  constexpr int kSteps = 32;
  float above = scale, below = scale;
  for (int i = 0; i < kSteps; ++i) {
    if (in * above / out == wanted || in * below / out == wanted) return true;
    above = std::nextafter(above, std::numeric_limits<float>::infinity());
    below = std::nextafter(below, 0.0F);
  }
  return false;
}

// ONNX Runtime multiplies by (s_in * s_w) / s_out in float32, the reference by the double's float:
// equal, but where float32 arithmetic steps over the multiplier, as it does over up to every second
// one (a scale's unit in the last place may be two of the multiplier's).
TEST(QdqTest, ScalesGiveRuntimesTheReferencesMultiplier) {
  const FloatNet net = text_net(kNet);
  const auto quantized = quantize_net(net);
  ASSERT_TRUE(quantized);
  ExportOptions options;
  options.opset_version = 13;
  ExportSummary summary;
  const auto model = build_onnx_model(quantized->graph_module(), net.input, options, summary);
  ASSERT_TRUE(model.ok()) << model.status();
  const GraphModule& gm = quantized->graph_module();
  int compared = 0, equal = 0;
  for (const Node* node : gm.graph().nodes()) {
    if (!is_weighted(node->op())) continue;
    const OpView view(gm, node);
    const float in = view.operand(0)->type.qparams->scale;
    const float out = node->type.qparams->scale;
    const at::Tensor wanted = gm.op_module(*node)->tensor("multiplier").contiguous();
    const std::vector<float> scales = initializer_floats(**model, node->target() + ".weight_scale");
    for (size_t c = 0; c < scales.size(); ++c) {
      const float multiplier = wanted.data_ptr<float>()[c];
      EXPECT_FLOAT_EQ(in * scales[c] / out, multiplier);
      const bool is_equal = in * scales[c] / out == multiplier;
      EXPECT_TRUE(is_equal || !has_scale(in, scales[c], out, multiplier)) << node->name() << c;
      equal += is_equal;
      ++compared;
    }
  }
  EXPECT_EQ(compared, 8 + 8 + 4 + 10);
  EXPECT_GE(equal, compared / 2);
}

// QuantizeLinear to quint8 ends at 6 by itself; a Clip would only keep runtimes from fusing.
TEST(QdqTest, Relu6IsReluWhereTheTypeEndsAtSix) {
  const FloatNet net = text_net(R"(
module @conv = conv2d(weight: f32[8,3,3,3], bias: f32[8])
state @conv.weight = normal(1, 2.0)
state @conv.bias = normal(2)
graph (%x: f32[2,3,8,8]) {
  %conv = conv2d @conv(%x)
  %fused = relu6(%conv)
  %of_signed = relu6(%x)
  return (%fused, %of_signed)
}
)");
  const auto quantized = quantize_net(net);
  ASSERT_TRUE(quantized);
  ExportOptions options;
  options.opset_version = 13;
  ExportSummary summary;
  const auto model = build_onnx_model(quantized->graph_module(), net.input, options, summary);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(operators(**model)["Relu"], 1);
  EXPECT_EQ(operators(**model)["Clip"], 1);
  expect_nodes_within_one_step(*quantized, net.input);
}

// ONNX Runtime truncates in a Resize of integers: with its optimisations on, the model must not let
// it come to that.
TEST(QdqTest, BilinearResizeIsNotTruncated) {
  if (!has_onnx_runtime()) GTEST_SKIP() << "no ONNX Runtime: run ./dev setup";
  const FloatNet net = text_net(R"(
module @conv = conv2d(weight: f32[8,3,3,3], bias: f32[8], padding=[1,1])
state @conv.weight = normal(1, 0.2)
state @conv.bias = normal(2, 0.3)
graph (%x: f32[2,3,8,8]) {
  %conv = conv2d @conv(%x)
  %relu = relu(%conv)
  %wide = upsample_bilinear2d(%relu, none, false, [2.0,2.0])
  %wider = upsample_bilinear2d(%wide, none, true, [2.0,2.0])
  return %wider
}
)");
  const auto quantized = quantize_net(net);
  ASSERT_TRUE(quantized);
  const auto runtime = run_qdq_model(*quantized, net.input);
  ASSERT_TRUE(runtime.ok()) << runtime.status();
  const auto floats = net.graph.forward(net.input);
  const auto integers = quantized->forward(net.input);
  ASSERT_TRUE(floats.ok() && integers.ok()) << floats.status() << integers.status();
  const double ours = sqnr_db(floats->toTensor(), integers->toTensor()).value_or(0);
  EXPECT_GT(sqnr_db(floats->toTensor(), runtime->at(0)).value_or(0), ours - 1);
}

// DequantizeLinear has scales per channel from opset 13 on; 11 is the API's default.
TEST(QdqTest, ChannelScalesBelowOpset13) {
  if (!has_onnx_runtime()) GTEST_SKIP() << "no ONNX Runtime: run ./dev setup";
  const FloatNet net = text_net(kNet);
  const auto quantized = quantize_net(net);
  ASSERT_TRUE(quantized);
  for (const int opset : {11, 12}) expect_nodes_within_one_step(*quantized, net.input, opset);
}

TEST(QdqTest, WeightsAreStoredAsInt8AtTheDefaultOpset) {
  const FloatNet net = text_net(kNet);
  const auto quantized = quantize_net(net);
  ASSERT_TRUE(quantized);
  const std::string path = scratch_directory() + "/m.onnx";
  ASSERT_TRUE(export_to_onnx(*quantized, net.input, path).ok());
  onnx::ModelProto model;
  std::ifstream file(path, std::ios::binary);
  ASSERT_TRUE(model.ParseFromIstream(&file));
  for (const onnx::TensorProto& tensor : model.graph().initializer()) {
    if (tensor.name() == "conv.weight") {
      EXPECT_EQ(tensor.data_type(), onnx::TensorProto::INT8);
    }
    if (tensor.name() == "conv.bias") {
      EXPECT_EQ(tensor.data_type(), onnx::TensorProto::INT32);
    }
  }
}

ExportOptions options_of(QuantFormat format, ExportProfile profile, int opset = 13) {
  ExportOptions options;
  options.quant_format = format;
  options.profile = profile;
  options.opset_version = opset;
  return options;
}

constexpr const char* kForms = R"(
module @conv = conv2d(weight: f32[8,3,3,3], bias: f32[8], padding=[1,1])
module @grouped = conv2d(weight: f32[8,2,3,3], bias: none, padding=[1,1], groups=4)
module @joined = conv2d(weight: f32[8,8,1,1], bias: f32[8])
module @plain = linear(weight: f32[6,8], bias: none)
module @fc = linear(weight: f32[4,6], bias: f32[4])
state * = normal(3, 0.3)
graph (%x: f32[2,3,8,8]) {
  %conv = conv2d @conv(%x)
  %relu = relu(%conv)
  %grouped = conv2d @grouped(%relu)
  %six = relu6(%grouped)
  %joined = conv2d @joined(%six)
  %sum = add(%joined, %relu)
  %sum_relu = relu(%sum)
  %pool = adaptive_avg_pool2d(%sum_relu, [1,1])
  %flat = flatten(%pool, 1)
  %plain = linear @plain(%flat)
  %plain_relu = relu(%plain)
  %fc = linear @fc(%plain_relu)
  %product = matmul(%sum_relu, %relu)
  return (%product, %fc)
}
)";

TEST(QdqTest, QOperatorsAreWithinOneStep) {
  if (!has_onnx_runtime()) GTEST_SKIP() << "no ONNX Runtime: run ./dev setup";
  const FloatNet net = text_net(kForms);
  const auto quantized = quantize_net(net);
  ASSERT_TRUE(quantized);
  for (const int opset : {11, 13, 17}) {
    const ExportOptions options = options_of(QuantFormat::kQOperator, ExportProfile::kExact, opset);
    expect_nodes_within(quantized->graph_module(), net.input, {options});
    ExportSummary summary;
    const auto model = build_onnx_model(quantized->graph_module(), net.input, options, summary);
    ASSERT_TRUE(model.ok()) << model.status();
    EXPECT_EQ(summary.operators["QLinearConv"], 2) << opset;
    EXPECT_EQ(summary.operators["Conv"], 1) << opset;  // its sum is added to
    EXPECT_EQ(summary.operators["MatMulInteger"], 1) << opset;
    EXPECT_EQ(summary.operators["QLinearMatMul"], 1) << opset;
  }
}

// A BPU has qint8 alone: a relu is a Clip of integers there, which opset 11 lacks; and it
// multiplies matrices.
TEST(QdqTest, QOperatorsOfSignedResults) {
  if (!has_onnx_runtime()) GTEST_SKIP() << "no ONNX Runtime: run ./dev setup";
  const FloatNet net = text_net(kForms);
  const auto quantized = quantize_net(net, *get_default_calib_qconfig(), March::BAYES);
  ASSERT_TRUE(quantized);
  for (const int opset : {11, 13}) {
    const ExportOptions options = options_of(QuantFormat::kQOperator, ExportProfile::kExact, opset);
    expect_nodes_within(quantized->graph_module(), net.input, {options});
    ExportSummary summary;
    const auto model = build_onnx_model(quantized->graph_module(), net.input, options, summary);
    ASSERT_TRUE(model.ok()) << model.status();
    EXPECT_EQ(summary.operators["QLinearConv"], opset == 11 ? 0 : 2);
    EXPECT_EQ(summary.operators["QLinearMatMul"], opset == 11 ? 1 : 2);
  }
}

// The sum is one of two rounded values: (s_conv + s_y) / (2 s_y) steps, s_conv = s_y + s_added.
TEST(QdqTest, ProfileOrtQuantizesInFrontOfAnAdd) {
  if (!has_onnx_runtime()) GTEST_SKIP() << "no ONNX Runtime: run ./dev setup";
  const FloatNet net = text_net(kForms);
  const auto quantized = quantize_net(net);
  ASSERT_TRUE(quantized);
  const Graph& graph = quantized->graph_module().graph();
  const double sum = graph.find("sum_relu")->type.qparams->scale;
  const double added = graph.find("relu")->type.qparams->scale;
  const int steps = static_cast<int>(std::ceil((2 * sum + added) / (2 * sum)));
  for (const QuantFormat format : {QuantFormat::kQDQ, QuantFormat::kQOperator}) {
    const ExportOptions options = options_of(format, ExportProfile::kOrt);
    expect_nodes_within(quantized->graph_module(), net.input, {options, steps, 0.5});
    ExportSummary summary;
    const auto model = build_onnx_model(quantized->graph_module(), net.input, options, summary);
    ASSERT_TRUE(model.ok()) << model.status();
    bool found = false;
    for (const auto& node : (*model)->graph().node()) {
      found |= node.op_type() == "Add" && node.input(0) == "sum_relu_summand";
    }
    EXPECT_TRUE(found);
    EXPECT_EQ(summary.operators["QLinearConv"], format == QuantFormat::kQOperator ? 3 : 0);
  }
}

TEST(QdqTest, FormatAndProfileAreOfQuantizedGraphs) {
  const FloatNet net = text_net(kForms);
  ExportSummary summary;
  const auto refused = build_onnx_model(
      net.graph, net.input, options_of(QuantFormat::kQOperator, ExportProfile::kOrt), summary);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  const std::string text(refused.status().message());
  EXPECT_NE(text.find("quant_format"), std::string::npos) << text;
  EXPECT_NE(text.find("profile"), std::string::npos) << text;
}

// Below opset 21 ONNX Runtime's domain has them, and the summary says so.
TEST(QdqTest, Int16GoesOutByItself) {
  if (!has_onnx_runtime()) GTEST_SKIP() << "no ONNX Runtime: run ./dev setup";
  const FloatNet net = text_net(kForms);
  const auto quantized = quantize_net(net, *get_default_calib_qconfig("qint16"));
  ASSERT_TRUE(quantized);
  EXPECT_GT(quantized->report.count(OpMode::kInt16), 0) << quantized->report.to_string();
  expect_nodes_within_one_step(*quantized, net.input);
  ExportSummary summary;
  ExportOptions options;
  ASSERT_TRUE(
      build_onnx_model(quantized->graph_module(), net.input, options, summary).status().ok());
  ASSERT_EQ(summary.warnings.size(), 1u);
  EXPECT_NE(summary.warnings[0].find("com.microsoft"), std::string::npos);
  options.int16_domain = "";
  options.operator_export_type = OperatorExportTypes::kOnnx;
  const auto refused = build_onnx_model(quantized->graph_module(), net.input, options, summary);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kUnimplemented) << refused.status();
}

}  // namespace
}  // namespace fxq::export_test
