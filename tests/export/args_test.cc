// The arguments of export_to_onnx: args in all their forms, where the file goes, what contradicts.
#include <ATen/ops/ones.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include <sstream>

#include "compare.h"
#include "fxq/export/onnx_model.h"
#include "fxq/graph/text.h"

namespace fxq::export_test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

GraphModule graph(const std::string& text) {
  auto gm = parse_text(text);
  EXPECT_TRUE(gm.ok()) << gm.status();
  return *std::move(gm);
}

constexpr const char* kThree = R"(
graph (%x: f32[2,4], %times: int, %y: f32[2,4]) {
  %more = add_int(%times, 1)
  %z = mul_scalar(%y, %more)
  %sum = add(%x, %z)
  return %sum
}
)";

constexpr const char* kOne = R"(
graph (%x: f32[2,4]) {
  %y = relu(%x)
  return %y
}
)";

at::Tensor ones() { return at::ones({2, 4}); }

c10::IValue by_name(const std::vector<std::pair<std::string, c10::IValue>>& entries) {
  c10::impl::GenericDict dict(c10::StringType::get(), c10::AnyType::get());
  for (const auto& [name, value] : entries) dict.insert(name, value);
  return dict;
}

std::vector<std::string> input_names(const ExportSummary& summary) {
  std::vector<std::string> names;
  for (const auto& input : summary.inputs) names.push_back(input.name);
  return names;
}

absl::Status refused(const GraphModule& gm, const std::vector<c10::IValue>& args,
                     const ExportOptions& options = {}) {
  ExportSummary summary;
  return build_onnx_model(gm, args, options, summary).status();
}

TEST(ArgsTest, WhatIsNoTensorBecomesAConstant) {
  if (!has_onnx_runtime()) GTEST_SKIP() << "no ONNX Runtime: run ./dev setup";
  const GraphModule gm = graph(kThree);
  ExportSummary summary;
  const auto model = build_onnx_model(gm, {ones(), 2, ones()}, {}, summary);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_THAT(input_names(summary), ElementsAre("x", "y"));
  const auto actual = run_onnx_runtime(**model, {{"x", ones()}, {"y", ones()}}, {"sum"});
  ASSERT_TRUE(actual.ok()) << actual.status();
  EXPECT_TRUE(actual->at("sum").equal(ones() * 4));
}

TEST(ArgsTest, ADictAtTheEndNamesTheRest) {
  const GraphModule gm = graph(kThree);
  ExportSummary summary;
  const auto model =
      build_onnx_model(gm, {ones(), by_name({{"y", ones()}, {"times", 2}})}, {}, summary);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_THAT(input_names(summary), ElementsAre("x", "y"));
}

TEST(ArgsTest, AllFaultsOfADictAtOnce) {
  const absl::Status status =
      refused(graph(kThree), {ones(), by_name({{"x", ones()}, {"times", 2}, {"why", ones()}})});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  const std::string text(status.message());
  EXPECT_THAT(text, HasSubstr("'x' is given by place and by name"));
  EXPECT_THAT(text, HasSubstr("no input is named 'why'; inputs are x, times, y"));
  EXPECT_THAT(text, HasSubstr("input 'y' is a tensor and has no example"));
}

TEST(ArgsTest, ATensorOrATupleAsASingleValue) {
  const GraphModule gm = graph(kOne);
  std::ostringstream stream;
  EXPECT_TRUE(export_to_onnx(gm, ones(), stream).ok());
  const c10::IValue tuple = c10::ivalue::Tuple::create({c10::IValue(ones())});
  EXPECT_TRUE(export_to_onnx(gm, tuple, stream).ok());
  EXPECT_FALSE(export_to_onnx(graph(kThree), ones(), stream).ok());
}

TEST(ArgsTest, AStreamTakesTheModel) {
  std::ostringstream stream;
  const auto summary = export_to_onnx(graph(kOne), {ones()}, stream);
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(stream.str().size(), summary->file_bytes);
  onnx::ModelProto model;
  ASSERT_TRUE(model.ParseFromString(stream.str()));
  EXPECT_EQ(model.graph().node(0).op_type(), "Relu");
  ExportOptions options;
  options.external_data_threshold = 0;
  const auto large = export_to_onnx(graph(kOne), {ones()}, stream, options);
  EXPECT_THAT(std::string(large.status().message()), HasSubstr("give a path"));
  stream.setstate(std::ios::badbit);
  EXPECT_FALSE(export_to_onnx(graph(kOne), {ones()}, stream).ok());
}

TEST(ArgsTest, ExampleOutputsAreChecked) {
  ExportOptions options;
  options.example_outputs = {ones()};
  EXPECT_TRUE(refused(graph(kOne), {ones()}, options).ok());
  options.example_outputs = {at::ones({2, 5}), ones()};
  options.output_names = {"a", "b", "c"};
  const std::string text(refused(graph(kOne), {ones()}, options).message());
  EXPECT_THAT(text, HasSubstr("output 0 is f32[2,4], the example f32[2,5]"));
  EXPECT_THAT(text, HasSubstr("example_outputs has 2 tensors; the model has 1 output(s)"));
  EXPECT_THAT(text, HasSubstr("output_names has 3 names"));
}

TEST(ArgsTest, DynamicAxesAsAList) {
  ExportOptions options;
  options.dynamic_axes = {{"x", {0, 1}}, {"y", {0}}};
  ExportSummary summary;
  const auto model = build_onnx_model(graph(kOne), {ones()}, options, summary);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(summary.inputs.at(0).type, "f32[x_axis_0,x_axis_1]");
  EXPECT_EQ(summary.outputs.at(0).type, "f32[x_axis_0,x_axis_1]");
}

TEST(ArgsTest, OptionsThatContradictEachOther) {
  ExportOptions options;
  options.opset_version = newest_opset() + 1;
  options.export_params = false;
  options.keep_initializers_as_inputs = false;
  options.custom_opsets = {{"", 13}, {"aten", 0}};
  const std::string text(refused(graph(kOne), {ones()}, options).message());
  EXPECT_THAT(text, HasSubstr("can be written"));
  EXPECT_THAT(text, HasSubstr("export_params=false makes inputs"));
  EXPECT_THAT(text, HasSubstr("ONNX's own domain"));
  EXPECT_THAT(text, HasSubstr("version 0 of 'aten'"));
}

}  // namespace
}  // namespace fxq::export_test
