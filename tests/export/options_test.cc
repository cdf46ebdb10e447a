// Options, names, and what is refused.
#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include <filesystem>

#include "compare.h"
#include "fxq/base/file.h"
#include "fxq/export/onnx_model.h"
#include "fxq/graph/text.h"

namespace fxq::export_test {
namespace {

constexpr const char* kSmall = R"(
module @fc = linear(weight: f32[3,4], bias: f32[3])
state @fc.weight = normal(1)
state @fc.bias = normal(2)
graph (%x: f32[2,4]) {
  %fc = linear @fc(%x)
  %relu = relu(%fc)
  return (%relu, %x, %relu)
}
)";

std::unique_ptr<onnx::ModelProto> build(const std::string& text, const ExportOptions& options) {
  const FloatNet net = text_net(text);
  ExportSummary summary;
  auto model = build_onnx_model(net.graph, net.input, options, summary);
  EXPECT_TRUE(model.ok()) << model.status();
  return model.ok() ? *std::move(model) : std::make_unique<onnx::ModelProto>();
}

std::string refusal(const std::string& text, const ExportOptions& options) {
  const FloatNet net = text_net(text);
  ExportSummary summary;
  const auto model = build_onnx_model(net.graph, net.input, options, summary);
  return model.ok() ? "" : std::string(model.status().message());
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::vector<std::string> names(
    const google::protobuf::RepeatedPtrField<onnx::ValueInfoProto>& all) {
  std::vector<std::string> result;
  for (const auto& info : all) result.push_back(info.name());
  return result;
}

using Strings = std::vector<std::string>;

TEST(OptionsTest, OutputsThatAreInputsOrRepeatGetTheirOwnValue) {
  ExportOptions options;
  options.enable_onnx_checker = true;
  const auto model = build(kSmall, options);
  EXPECT_EQ(names(model->graph().input()), (Strings{"x"}));
  EXPECT_EQ(names(model->graph().output()), (Strings{"relu", "output_1", "output_2"}));
}

TEST(OptionsTest, NamesMayBeThoseOfOtherValues) {
  ExportOptions options;
  options.enable_onnx_checker = true;
  options.input_names = {"relu"};
  options.output_names = {"fc", "same", "x"};
  const auto model = build(kSmall, options);
  EXPECT_EQ(names(model->graph().input()), (Strings{"relu"}));
  EXPECT_EQ(names(model->graph().output()), (Strings{"fc", "same", "x"}));
}

TEST(OptionsTest, DynamicAxesFollowTheBatch) {
  ExportOptions options;
  options.enable_onnx_checker = true;
  options.dynamic_axes = {{"x", {{0, "N"}}}};
  const auto model = build(kSmall, options);
  for (const auto& info : model->graph().output()) {
    EXPECT_EQ(info.type().tensor_type().shape().dim(0).dim_param(), "N") << info.name();
  }
}

TEST(OptionsTest, ParametersAsInputs) {
  ExportOptions options;
  options.enable_onnx_checker = true;
  options.export_params = false;
  auto model = build(kSmall, options);
  EXPECT_EQ(names(model->graph().input()), (Strings{"x", "fc.bias", "fc.weight"}));
  EXPECT_EQ(model->graph().initializer_size(), 0);
  options.export_params = true;
  options.keep_initializers_as_inputs = true;
  model = build(kSmall, options);
  EXPECT_EQ(model->graph().input_size(), 3);
  EXPECT_EQ(model->graph().initializer_size(), 2);
}

constexpr const char* kForeign = R"(
graph (%x: f32[2,4]) {
  %a = aten::frac(%x)
  %b = aten::erfinv(%a)
  %c = relu(%b)
  return %c
}
)";

TEST(OptionsTest, AllOpsThatOnnxLacksAreNamed) {
  ExportOptions options;
  options.operator_export_type = OperatorExportTypes::kOnnx;
  const std::string text = refusal(kForeign, options);
  EXPECT_TRUE(contains(text, "%a (aten::frac)")) << text;
  EXPECT_TRUE(contains(text, "%b (aten::erfinv)")) << text;
  EXPECT_TRUE(contains(text, "X001")) << text;
}

TEST(OptionsTest, OpsThatOnnxLacksFallThrough) {
  ExportOptions options;
  options.enable_onnx_checker = true;
  options.custom_opsets = {{"aten", 3}};
  const FloatNet net = text_net(kForeign);
  ExportSummary summary;
  const auto model = build_onnx_model(net.graph, net.input, options, summary);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(summary.fallthrough.size(), 2U);
  EXPECT_EQ(summary.operators["aten.frac"], 1);
  bool found = false;
  for (const auto& import : (*model)->opset_import()) {
    found |= import.domain() == "aten" && import.version() == 3;
  }
  EXPECT_TRUE(found);
}

TEST(OptionsTest, AllFaultsOfTheOptionsAtOnce) {
  ExportOptions options;
  options.opset_version = 9;
  options.input_names = {"a", "b"};
  options.dynamic_axes = {{"y", {{0, "N"}}}};
  const std::string text = refusal(kSmall, options);
  EXPECT_TRUE(contains(text, "opset_version 9")) << text;
  EXPECT_TRUE(contains(text, "input_names has 2 names")) << text;
  EXPECT_TRUE(contains(text, "no input or output is named 'y'")) << text;
}

TEST(OptionsTest, AxesThatAreNotThere) {
  ExportOptions options;
  options.dynamic_axes = {{"x", {{5, "N"}}}};
  EXPECT_TRUE(contains(refusal(kSmall, options), "it has no axis 5"));
}

TEST(OptionsTest, AFixedBatchIsSaid) {
  constexpr const char* kFixed = R"(
graph (%x: f32[2,4]) {
  %y = view(%x, [4,2])
  return %y
}
)";
  ExportOptions options;
  options.dynamic_axes = {{"x", {{0, "N"}}}};
  const std::string text = refusal(kFixed, options);
  EXPECT_TRUE(contains(text, "does not run with other sizes")) << text;
  EXPECT_TRUE(contains(text, "%y")) << text;
  const FloatNet net = text_net(kFixed);
  EXPECT_TRUE(dynamic_batch_axes(net.graph, net.input).empty());
}

// The trial with other sizes may find the guard true: 2 and 3 rows are both no more than 4.
TEST(OptionsTest, AnAxisThatAGuardDependsOnStaysFixed) {
  constexpr const char* kGuarded = R"(
graph (%x: f32[2,4]) {
  %rows = size(%x, 0)
  %many = gt_int(%rows, 4)
  %few = not_bool(%many)
  %guard = guard(%few, "net.py:3: %many is false, as for the example inputs")
  %y = relu(%x)
  return %y
}
)";
  ExportOptions options;
  options.dynamic_axes = {{"x", {{0, "N"}}}};
  const std::string text = refusal(kGuarded, options);
  EXPECT_TRUE(contains(text, "net.py:3")) << text;
  EXPECT_TRUE(contains(text, "leave that axis out")) << text;
  const FloatNet net = text_net(kGuarded);
  EXPECT_TRUE(dynamic_batch_axes(net.graph, net.input).empty());
  options.dynamic_axes = {{"x", {{1, "W"}}}};
  const auto other = build(kGuarded, options);
  ASSERT_NE(other, nullptr);
  ASSERT_EQ(other->graph().node_size(), 1);
  EXPECT_EQ(other->graph().node(0).op_type(), "Relu");
}

// Code that raises for some sizes computes the same for all others.
TEST(OptionsTest, AnAssertOnAnAxisIsTold) {
  constexpr const char* kAsserted = R"(
graph (%x: f32[2,4]) {
  %rows = size(%x, 0)
  %many = gt_int(%rows, 4)
  %few = not_bool(%many)
  %guard = guard(%few, "net.py:3: must not raise: too many rows")
  %y = relu(%x)
  return %y
}
)";
  const FloatNet net = text_net(kAsserted);
  ExportOptions options;
  options.dynamic_axes = {{"x", {{0, "N"}}}};
  ExportSummary summary;
  const auto model = build_onnx_model(net.graph, net.input, options, summary);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(summary.inputs.at(0).type, "f32[N,4]");
  ASSERT_EQ(summary.warnings.size(), 1u);
  EXPECT_TRUE(contains(summary.warnings[0], "net.py:3: must not raise: too many rows"));
  options.dynamic_axes = {{"x", {{1, "W"}}}};  // the rows are known to be few
  ASSERT_TRUE(build_onnx_model(net.graph, net.input, options, summary).ok());
  EXPECT_TRUE(summary.warnings.empty());
}

TEST(OptionsTest, InputsOfUnknownTypeAreDeduced) {
  constexpr const char* kConv = R"(
module @conv = conv2d(weight: f32[4,3,3,3], bias: none)
state @conv.weight = normal(1)
graph (%x: tensor) {
  %relu = relu(%x)
  %conv = conv2d @conv(%relu)
  return %conv
}
)";
  const auto gm = parse_text(kConv);
  ASSERT_TRUE(gm.ok()) << gm.status();
  ExportSummary summary;
  ASSERT_TRUE(build_onnx_model(*gm, {}, {}, summary).ok());
  EXPECT_EQ(summary.inputs.at(0).type, "f32[N,3,H,W]");
  EXPECT_EQ(summary.outputs.at(0).type, "f32[N,4,?,?]");
  const auto unknown = parse_text("graph (%x: tensor) {\n  %y = relu(%x)\n  return %y\n}\n");
  ASSERT_TRUE(unknown.ok()) << unknown.status();
  const auto refused = build_onnx_model(*unknown, {}, {}, summary);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument) << refused.status();
}

TEST(OptionsTest, DeducedSizesAreFixedWhereTheModelFixesThem) {
  constexpr const char* kFixed = R"(
module @conv = conv2d(weight: f32[2,3,3,3], bias: none)
module @fc = linear(weight: f32[5,50], bias: none)
state @conv.weight = normal(1)
state @fc.weight = normal(2)
graph (%x: tensor) {
  %conv = conv2d @conv(%x)
  %pool = max_pool2d(%conv, [2,2])
  %again = max_pool2d(%pool, [2,2])
  %flat = flatten(%again, 1)
  %fc = linear @fc(%flat)
  return %fc
}
)";
  const auto gm = parse_text(kFixed);
  ASSERT_TRUE(gm.ok()) << gm.status();
  ExportSummary summary;
  const auto model = build_onnx_model(*gm, {}, {}, summary);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(summary.inputs.at(0).type, "f32[N,3,24,24]");
  EXPECT_EQ(summary.outputs.at(0).type, "f32[N,5]");
}

TEST(OptionsTest, FilesAppearWhole) {
  const FloatNet net = text_net(kSmall);
  const std::string folder = scratch_directory();
  const auto good = export_to_onnx(net.graph, net.input, folder + "/m.onnx");
  ASSERT_TRUE(good.ok()) << good.status();
  EXPECT_EQ(std::filesystem::file_size(folder + "/m.onnx"), good->file_bytes);
  onnx::ModelProto model;
  EXPECT_TRUE(model.ParseFromString(*read_file(folder + "/m.onnx")));
  EXPECT_EQ(model.producer_name(), "fxq");
  const auto bad = export_to_onnx(net.graph, net.input, folder + "/none/m.onnx");
  EXPECT_FALSE(bad.ok());
  std::filesystem::remove_all(folder);
}

TEST(OptionsTest, ExternalDataIsAFileBesideTheModel) {
  if (!has_onnx_runtime()) GTEST_SKIP() << "no ONNX Runtime: run ./dev setup";
  const FloatNet net = text_net(R"(
module @a = conv2d(weight: f32[16,3,3,3], bias: f32[16])
module @b = conv2d(weight: f32[32,16,3,3], bias: f32[32])
state * = normal(3, 0.2)
graph (%x: f32[2,3,8,8]) {
  %a = conv2d @a(%x)
  %b = conv2d @b(%a)
  return %b
}
)");
  const std::string folder = scratch_directory();
  const std::string path = folder + "/m.onnx";
  ExportOptions options;
  options.external_data_threshold = 1024;
  options.enable_onnx_checker = true;
  const auto summary = export_to_onnx(net.graph, net.input, path, options);
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->external_data, path + ".data");
  EXPECT_LT(std::filesystem::file_size(path), 2048u);
  EXPECT_EQ(std::filesystem::file_size(path + ".data"), 4096u + 32 * 16 * 9 * 4);
  const auto actual = run_onnx_file(path, {{"x", net.input[0].toTensor()}}, {"b"});
  ASSERT_TRUE(actual.ok()) << actual.status();
  const at::Tensor expected = net.graph.forward(net.input)->toTensor();
  EXPECT_TRUE(actual->at("b").allclose(expected, 1e-4, 1e-5));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace fxq::export_test
