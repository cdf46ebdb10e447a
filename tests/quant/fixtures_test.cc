// Every fixture net through prepare, calibration, convert and the reference graph; then saved,
// loaded and run again.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <set>

#include "fxq/data/npy.h"
#include "fxq/graph/artifact.h"
#include "fxq/graph/tensor_convert.h"
#include "fxq/quant/compare.h"
#include "fxq/quant/convert_fx.h"
#include "fxq/quant/prepare_fx.h"
#include "fxq/tracer/shape_prop.h"
#include "fxq/tracer/trace.h"

namespace fxq {
namespace {

namespace fs = std::filesystem;

const std::set<std::string> kShallow{"resnet18", "mobilenet_v2", "onet", "rnet",
                                     "pnet",     "digits",       "unet", "squeezenet1_1"};

std::vector<std::string> fixtures() {
  std::vector<std::string> names;
  if (!fs::exists(FXQ_MODELS_DIR)) return names;
  for (const auto& entry : fs::directory_iterator(FXQ_MODELS_DIR)) {
    const std::string name = entry.path().filename().string();
    const size_t end = name.find(".trace.pt");
    if (end != std::string::npos) names.push_back(name.substr(0, end));
  }
  // Deep nets of random weights say nothing here; tests/lower and tests/export run them.
  const auto is_deep = [](const std::string& name) {
    return !kShallow.count(name) && name.rfind("odd_", 0) != 0;
  };
  names.erase(std::remove_if(names.begin(), names.end(), is_deep), names.end());
  std::sort(names.begin(), names.end());
  return names;
}

// "net.input.npy", or "net.input.0.npy", "net.input.1.npy", ...
std::vector<at::Tensor> read_all(const std::string& name, const std::string& what) {
  std::vector<at::Tensor> tensors;
  const std::string stem = std::string(FXQ_MODELS_DIR) + "/" + name + "." + what;
  for (int i = -1; i < 8; ++i) {
    const std::string path = i < 0 ? stem + ".npy" : stem + "." + std::to_string(i) + ".npy";
    if (!fs::exists(path)) continue;
    auto tensor = read_npy(path);
    EXPECT_TRUE(tensor.ok()) << tensor.status();
    if (tensor.ok()) tensors.push_back(to_at_tensor(*tensor).clone());
  }
  return tensors;
}

std::vector<c10::IValue> values(const std::vector<at::Tensor>& tensors) {
  return {tensors.begin(), tensors.end()};
}

// Nets that 8 bits do not suit: a deep one with random weights, and one that divides by 1 +
// exp(-x).
double least_sqnr_db(const std::string& name) {
  if (name == "mobilenet_v2") return 6.0;
  if (name == "odd_scalars") return -std::numeric_limits<double>::infinity();
  return 15.0;
}

class FixturesTest : public ::testing::TestWithParam<std::string> {};

TEST_P(FixturesTest, FollowsTheFloatNet) {
  const std::string& name = GetParam();
  const auto input = read_all(name, "input");
  const auto calib = read_all(name, "calib");
  ASSERT_FALSE(input.empty());
  auto model = trace_file(std::string(FXQ_MODELS_DIR) + "/" + name + ".trace.pt");
  ASSERT_TRUE(model.ok()) << model.status();
  model->eval();
  ASSERT_TRUE(propagate_shapes(*model, values(input)).ok());
  auto observed = prepare_calibration_fx(*model);
  ASSERT_TRUE(observed.ok()) << observed.status();
  const int64_t batch = input[0].size(0);
  for (int64_t at = 0; at + batch <= std::min<int64_t>(calib[0].size(0), 8); at += batch) {
    std::vector<c10::IValue> slice;
    for (const at::Tensor& tensor : calib) slice.emplace_back(tensor.slice(0, at, at + batch));
    auto result = observed->forward(slice);
    ASSERT_TRUE(result.ok()) << result.status();
  }
  auto quantized = convert_fx(*observed);
  ASSERT_TRUE(quantized.ok()) << quantized.status();
  auto expected = model->forward(values(input));
  auto actual = quantized->forward(values(input));
  ASSERT_TRUE(actual.ok()) << actual.status();
  auto db = sqnr_db(*expected, *actual);
  ASSERT_TRUE(db.ok()) << db.status();
  RecordProperty("sqnr_db", std::to_string(*db));
  EXPECT_GE(*db, least_sqnr_db(name)) << quantized->report.to_string();
}

TEST_P(FixturesTest, SavesAndLoads) {
  const std::string& name = GetParam();
  const auto input = read_all(name, "input");
  auto model = trace_file(std::string(FXQ_MODELS_DIR) + "/" + name + ".trace.pt");
  ASSERT_TRUE(model.ok()) << model.status();
  model->eval();
  ASSERT_TRUE(propagate_shapes(*model, values(input)).ok());
  auto observed = prepare_calibration_fx(*model);
  ASSERT_TRUE(observed.ok()) << observed.status();
  ASSERT_TRUE(observed->forward(values(input)).ok());
  auto quantized = convert_fx(*observed);
  ASSERT_TRUE(quantized.ok()) << quantized.status();
  const std::string path = ::testing::TempDir() + "fxq_fixture_" + name + ".fxq";
  ASSERT_TRUE(save(*quantized, path).ok());
  LoadOptions options;
  options.allow_torchscript = true;
  auto loaded = load_quantized(path, options);
  fs::remove(path);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->report.count(OpMode::kInt8), quantized->report.count(OpMode::kInt8));
  auto a = quantized->forward(values(input));
  auto b = loaded->forward(values(input));
  ASSERT_TRUE(b.ok()) << b.status();
  EXPECT_EQ(*max_relative_difference(*a, *b), 0);
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(FixturesTest);
INSTANTIATE_TEST_SUITE_P(All, FixturesTest, ::testing::ValuesIn(fixtures()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace fxq
