// Operators from outside: examples/own_op on edge cases, and what registration refuses.
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "../../examples/own_op/absdiff.h"
#include "fxq/export/lowering/lowering.h"
#include "fxq/export/onnx_export.h"
#include "fxq/graph/tensor_convert.h"
#include "fxq/graph/text.h"
#include "fxq/passes/pipeline.h"
#include "fxq/quant/convert_fx.h"
#include "fxq/quant/prepare_fx.h"
#include "fxq/quant/qconfig.h"
#include "fxq/quant/reference_kernels/reference_kernel.h"
#include "fxq/runtime/executor.h"
#include "fxq/runtime/kernel_table.h"
#include "fxq/runtime/lower/family.h"
#include "fxq/runtime/lower/lower.h"
#include "fxq/tracer/shape_prop.h"

namespace fxq {
namespace {

class OwnOp : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { ASSERT_TRUE(register_absdiff().ok()); }
};

GraphModule model(const std::string& body, const std::vector<c10::IValue>& inputs) {
  auto gm = parse_text(body);
  EXPECT_TRUE(gm.ok()) << gm.status();
  EXPECT_TRUE(propagate_shapes(*gm, inputs).ok());
  return *std::move(gm);
}

QConfigDict all_as(const char* dtype) {
  QConfigDict dict;
  dict.global = get_default_calib_qconfig(dtype).value();
  return dict;
}

constexpr const char* kTwoInputs = R"(
graph (%x, %y) {
  %a = sigmoid(%x)
  %b = tanh(%y)
  %d = absdiff(%a, %b)
  return %d
})";

// Float inputs -> the program's result, and the reference's.
void expect_exact(const GraphModule& float_model, const QConfigDict& qconfigs,
                  const std::vector<at::Tensor>& inputs) {
  const std::vector<c10::IValue> values(inputs.begin(), inputs.end());
  const auto observed = prepare_calibration_fx(float_model, qconfigs);
  ASSERT_TRUE(observed.ok()) << observed.status();
  ASSERT_TRUE(observed->forward(values).ok());
  const auto int8 = convert_fx(*observed);
  ASSERT_TRUE(int8.ok()) << int8.status();
  EXPECT_TRUE(int8->graph_module().graph().find("d")->type.is_quantized());
  auto program = lower(int8->graph_module());
  ASSERT_TRUE(program.ok()) << program.status();
  for (int threads : {1, 2}) {
    ExecutorOptions options;
    options.threads = threads;
    auto executor = Executor::create(*program, options);
    ASSERT_TRUE(executor.ok()) << executor.status();
    std::vector<HostTensor> given;
    for (const at::Tensor& input : inputs) given.push_back(to_host_tensor(input).value());
    const auto outputs = (*executor)->run(given);
    ASSERT_TRUE(outputs.ok()) << outputs.status();
    const auto expected = int8->forward(values);
    ASSERT_TRUE(expected.ok()) << expected.status();
    EXPECT_TRUE(at::equal(to_at_tensor((*outputs)[0]), expected->toTensor()));
  }
}

TEST_F(OwnOp, TheProgramIsTheReferenceOnEveryDtypeAndShape) {
  for (const std::vector<int64_t>& shape : std::vector<std::vector<int64_t>>{
           {1, 1}, {3, 7}, {2, 5, 3}, {2, 17, 9, 5}, {1, 64, 40, 40}}) {
    const at::Tensor x = at::randn(shape) * 3;
    const at::Tensor y = at::randn(shape);
    for (const char* dtype : {"qint8", "qint16"}) {
      expect_exact(model(kTwoInputs, {x, y}), all_as(dtype), {x, y});
    }
  }
}

TEST_F(OwnOp, ItsResultIsKnownToBeNonNegative) {
  const at::Tensor x = at::randn({2, 8});
  const auto observed = prepare_calibration_fx(model(kTwoInputs, {x, x}));
  ASSERT_TRUE(observed->forward({x, x}).ok());
  const auto int8 = convert_fx(*observed);
  ASSERT_TRUE(int8.ok()) << int8.status();
  EXPECT_EQ(int8->graph_module().graph().find("d")->type.dtype, DType::kU8);
}

TEST_F(OwnOp, WhatItsKernelCannotDoStaysInFloatWithTheReason) {
  const at::Tensor x = at::randn({2, 8});
  const at::Tensor y = at::randn({1, 8});
  const GraphModule gm = model(kTwoInputs, {x, y});
  const auto observed = prepare_calibration_fx(gm);
  ASSERT_TRUE(observed.ok()) << observed.status();
  ASSERT_TRUE(observed->forward({x, y}).ok());
  const auto int8 = convert_fx(*observed);
  ASSERT_TRUE(int8.ok()) << int8.status();
  EXPECT_FALSE(int8->graph_module().graph().find("d")->type.is_quantized());
  const std::string report = observed->report.to_string();
  EXPECT_NE(report.find("its integer kernel does not broadcast"), std::string::npos) << report;
}

TEST_F(OwnOp, PassesKnowItsRow) {
  GraphModule gm = model(R"(
graph (%x, %y) {
  %a = absdiff(%x, %y)
  %b = absdiff(%y, %x)
  %unused = absdiff(%x, %x)
  %s = add(%a, %b)
  return %s
})",
                         {at::randn({2, 3}), at::randn({2, 3})});
  auto pipeline = Pipeline::parse("dce");
  ASSERT_TRUE(pipeline.ok());
  EXPECT_TRUE(*pipeline->run(gm));
  EXPECT_EQ(gm.graph().find("unused"), nullptr) << "a registered op is pure";
}

TEST(RegisterOp, SaysAllThatIsWrongWithARow) {
  OpDef row;
  row.name = "relu";
  row.overloads = {"nameless", "aten::add.Tensor"};
  row.rule = Rule::kWeighted;
  const auto id = register_op(row);
  ASSERT_FALSE(id.ok());
  EXPECT_EQ(id.status().message(),
            "the op 'relu' cannot be registered:\n"
            "  an op named 'relu' exists\n"
            "  overload 'nameless' has no namespace, such as \"my::op\"\n"
            "  overload 'aten::add.Tensor' belongs to 'add'\n"
            "  it is weighted and does not say which argument is the weight");
}

TEST(RegisterOp, AFamilyThatNobodyRegisteredIsNamed) {
  OpDef row;
  row.name = "special_i0e";
  row.overloads = {"aten::special_i0e"};
  row.rule = Rule::kObserved;
  row.kernel = "Bessel";
  ASSERT_TRUE(register_op(row).ok());
  const auto observed = prepare_calibration_fx(
      model("graph (%x) {\n  %d = special_i0e(%x)\n  return %d\n}", {at::randn({2, 8})}));
  ASSERT_TRUE(observed.ok()) << observed.status();
  const std::string report = observed->report.to_string();
  EXPECT_NE(report.find("its kernel family 'Bessel' is not registered"), std::string::npos)
      << report;
}

TEST(RegisterOp, ARowOfCellsThatExistNeedsNothingElse) {
  OpDef row;
  row.name = "sinc";
  row.overloads = {"aten::sinc"};
  row.rule = Rule::kObserved;
  row.kernel = "Table";  // any function of one value, from its own float code
  ASSERT_TRUE(register_op(row).ok());
  const at::Tensor x = at::randn({2, 8, 3});
  expect_exact(model("graph (%x) {\n  %d = sinc(%x)\n  return %d\n}", {x}), all_as("qint8"), {x});
}

TEST(RegisterFamilies, NamesThatExistAreRefused) {
  const auto limits = +[](const OpView&) { return std::string(); };
  const auto run =
      +[](const ReferenceCall& call) -> absl::StatusOr<c10::IValue> { return call.args[0]; };
  EXPECT_EQ(register_reference_kernel("Conv", run, limits).code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(register_lowering("Conv", lower_family(OpId::kConv2d)).code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(register_onnx_form("Conv", onnx_lowering(OpId::kConv2d)).code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(register_kernel("Conv", 1, absdiff_kernel()).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(register_kernel("Bare", 1, Kernel{}).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace fxq
