// Whole models: int8 against float on the fixture nets (tests/models/make_models.py makes them).
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "fxq/data/npy.h"
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

TEST_P(ModelTest, Resnet18Sqnr) {
  const std::string file = model_path("resnet18." + GetParam() + ".pt");
  if (!std::filesystem::exists(file)) GTEST_SKIP() << file << " is not there";
  const at::Tensor calib = read(model_path("resnet18.calib.npy"));
  const at::Tensor input = read(model_path("resnet18.input.npy"));
  const GraphModule model = traced(file, input);
  auto quantized = quantize_on(model, calib);
  ASSERT_TRUE(quantized.ok()) << quantized.status();
  EXPECT_EQ(quantized->report.count(OpMode::kFloat), 0) << quantized->report.to_string();
  auto expected = model.forward({input});
  auto actual = quantized->forward({input});
  ASSERT_TRUE(actual.ok()) << actual.status();
  const double db = *sqnr_db(*expected, *actual);
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
