// Whole models: int8 against float on the fixture nets (tests/models/make_models.py makes them).
#include <ATen/ops/ones_like.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "fxq/data/npy.h"
#include "fxq/graph/op_module.h"
#include "fxq/graph/tensor_convert.h"
#include "fxq/quant/compare.h"
#include "fxq/quant/convert_fx.h"
#include "fxq/quant/prepare_fx.h"
#include "fxq/tracer/shape_prop.h"
#include "fxq/tracer/trace.h"

namespace fxq {
namespace {

at::Tensor read(const std::string& path) {
  auto tensor = read_npy(path);
  EXPECT_TRUE(tensor.ok()) << tensor.status();
  return tensor.ok() ? to_at_tensor(*tensor).clone() : at::Tensor();
}

std::string model_path(const std::string& name) { return std::string(FXQ_MODELS_DIR) + "/" + name; }

GraphModule traced(const std::string& path, const at::Tensor& example) {
  auto gm = trace_file(path);
  EXPECT_TRUE(gm.ok()) << gm.status();
  if (!gm.ok()) return GraphModule();
  gm->eval();
  const absl::Status status = propagate_shapes(*gm, {example});
  EXPECT_TRUE(status.ok()) << status;
  return *std::move(gm);
}

absl::StatusOr<QuantizedGraph> quantize_on(const GraphModule& model, const at::Tensor& data) {
  auto observed = prepare_calibration_fx(model);
  if (!observed.ok()) return observed.status();
  for (const at::Tensor& batch : data.split(1)) {
    auto result = observed->forward({batch});
    if (!result.ok()) return result.status();
  }
  return convert_fx(*observed);
}

class ModelTest : public ::testing::TestWithParam<std::string> {};

// Batch norms as a fresh net has them: the net that other quantizers are measured on.
void reset_batch_norms(GraphModule& gm) {
  for (const Node* node : gm.graph().find_all(OpId::kBatchNorm)) {
    OpModule& norm = *gm.op_module(*node);
    const at::Tensor ones = at::ones_like(norm.tensor("running_var"));
    norm.set_tensor("running_mean", ones * 0);
    norm.set_tensor("running_var", ones);
    norm.set_tensor("weight", ones.clone());
    norm.set_tensor("bias", ones * 0);
  }
}

double logits_sqnr(const GraphModule& model, const at::Tensor& calib, const at::Tensor& input) {
  auto quantized = quantize_on(model, calib);
  EXPECT_TRUE(quantized.ok()) << quantized.status();
  if (!quantized.ok()) return 0;
  EXPECT_EQ(quantized->report.count(OpMode::kFloat), 0) << quantized->report.to_string();
  auto expected = model.forward({input});
  auto actual = quantized->forward({input});
  EXPECT_TRUE(actual.ok()) << actual.status();
  return actual.ok() ? *sqnr_db(*expected, *actual) : 0;
}

TEST_P(ModelTest, Resnet18Sqnr) {
  const std::string file = model_path("resnet18." + GetParam() + ".pt");
  if (!std::filesystem::exists(file)) GTEST_SKIP() << file << " is not there";
  const at::Tensor calib = read(model_path("resnet18.calib.npy")).slice(0, 0, 8);
  const at::Tensor input = read(model_path("resnet18.input.npy"));
  GraphModule model = traced(file, input);
  // The fixture's settled batch norms subtract most of each signal: harder than a fresh net.
  EXPECT_GE(logits_sqnr(model, calib, input), 19.0);
  reset_batch_norms(model);
  const double db = logits_sqnr(model, calib, input);
  RecordProperty("sqnr_db", std::to_string(db));
  EXPECT_GE(db, 28.0);
}

TEST_P(ModelTest, DigitsAccuracy) {
  const std::string folder = std::string(FXQ_SOURCE_DIR) + "/examples/digits/";
  const at::Tensor calib = read(folder + "calib_images.npy");
  const at::Tensor images = read(folder + "test_images.npy");
  const at::Tensor labels = read(folder + "test_labels.npy").to(at::kLong);
  const GraphModule model = traced(folder + "digits." + GetParam() + ".pt", images.slice(0, 0, 2));
  auto quantized = quantize_on(model, calib.slice(0, 0, 64));
  ASSERT_TRUE(quantized.ok()) << quantized.status();
  auto top1 = [&](const c10::IValue& logits) {
    return logits.toTensor().argmax(1).eq(labels).to(at::kDouble).mean().item<double>() * 100;
  };
  auto expected = model.forward({images});
  auto actual = quantized->forward({images});
  ASSERT_TRUE(actual.ok()) << actual.status();
  EXPECT_GE(top1(*actual), top1(*expected) - 0.5);
  EXPECT_GT(top1(*expected), 90.0);
}

INSTANTIATE_TEST_SUITE_P(Kinds, ModelTest, ::testing::Values("script", "trace"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace fxq
