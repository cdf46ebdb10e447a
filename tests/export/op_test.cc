// Every ONNX cell of the op table in float, each opset that has forms of its own: what ONNX Runtime
// computes. One graph holds a family, because starting ONNX Runtime takes longer than running it.
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "compare.h"
#include "fxq/base/file.h"
#include "fxq/graph/ops/op_def.h"
#include "fxq/graph/text.h"
#include "fxq/tracer/trace.h"

namespace fxq::export_test {
namespace {

std::string family_text(const std::string& name) {
  const auto text =
      read_file(std::string(FXQ_SOURCE_DIR) + "/tests/export/op_families/" + name + ".txt");
  EXPECT_TRUE(text.ok()) << text.status();
  return text.ok() ? *text : "";
}

const std::vector<std::string>& families() {
  static const std::vector<std::string> names{
      "weighted", "norms",    "activations", "arithmetic", "choosing", "filling", "pooling",
      "movement", "indexing", "reductions",  "recurrent",  "sizes",    "numbers", "columns"};
  return names;
}

class OpTest : public ::testing::TestWithParam<std::string> {};

TEST_P(OpTest, FloatAgrees) {
  if (!has_onnx_runtime()) GTEST_SKIP() << "no ONNX Runtime: run ./dev setup";
  const FloatNet net = text_net(family_text(GetParam()));
  ASSERT_GT(net.graph.graph().size(), 0U);
  for (const int opset : {11, 13, 17}) {
    FloatCheck check;
    check.options.opset_version = opset;
    check.options.operator_export_type = OperatorExportTypes::kOnnx;
    check.tag = GetParam() + " at opset " + std::to_string(opset);
    expect_same_floats(net, check);
  }
}

INSTANTIATE_TEST_SUITE_P(Families, OpTest, ::testing::ValuesIn(families()),
                         [](const auto& info) { return info.param; });

// Opset 11 has no Einsum.
TEST(OpTest, EinsumNeedsOpset12) {
  if (!has_onnx_runtime()) GTEST_SKIP() << "no ONNX Runtime: run ./dev setup";
  FloatCheck check;
  check.options.opset_version = 13;
  check.tag = "einsum";
  expect_same_floats(text_net(family_text("einsum")), check);
}

// Opset 13 has no GridSample.
TEST(OpTest, SamplingNeedsOpset16) {
  if (!has_onnx_runtime()) GTEST_SKIP() << "no ONNX Runtime: run ./dev setup";
  FloatCheck check;
  check.options.opset_version = 16;
  check.tag = "sampling";
  expect_same_floats(text_net(family_text("sampling")), check);
}

// torchvision's operators, in its Python package.
bool load_torchvision() {
  const std::filesystem::path folder = "/usr/lib/python3/dist-packages/torchvision";
  if (!std::filesystem::exists(folder)) return false;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.rfind("_C.", 0) == 0) return load_operator_library(entry.path().string()).ok();
  }
  return false;
}

// Boxes inside, at the edge, of no size, and outside.
FloatNet boxes_net(const std::string& family) {
  auto gm = parse_text(family_text(family));
  EXPECT_TRUE(gm.ok()) << gm.status();
  FloatNet net;
  if (!gm.ok()) return net;
  gm->eval();
  const std::vector<float> boxes{0, 1.5F, 2, 7.25F, 9,    1, -2, -1, 6,  8,
                                 1, 4,    4, 4,     4.5F, 0, 3,  6,  30, 25};
  net.input = random_inputs(*gm, 7);
  net.input[1] = at::tensor(boxes).view({4, 5});
  net.graph = *std::move(gm);
  return net;
}

TEST(OpTest, RoiAlign) {
  if (!has_onnx_runtime()) GTEST_SKIP() << "no ONNX Runtime: run ./dev setup";
  if (!load_torchvision()) GTEST_SKIP() << "no torchvision: run ./dev setup";
  for (const int opset : {11, 13, 16}) {
    FloatCheck check;
    check.options.opset_version = opset;
    check.tag = "roi_align at opset " + std::to_string(opset);
    expect_same_floats(boxes_net("roi_align"), check);
  }
  FloatCheck check;
  check.options.opset_version = 16;
  check.tag = "aligned";
  expect_same_floats(boxes_net("roi_align_aligned"), check);
}

// Sizes stay computed while the batch is symbolic.
TEST(OpTest, SymbolicSizes) {
  if (!has_onnx_runtime()) GTEST_SKIP() << "no ONNX Runtime: run ./dev setup";
  const FloatNet net = text_net(family_text("sizes"));
  FloatCheck check;
  check.options.opset_version = 13;
  check.options.dynamic_axes = {{"x", {{0, "N"}, {2, "H"}}}};
  check.tag = "sizes with symbols";
  expect_same_floats(net, check);
}

// A new ONNX cell needs a line in op_families/.
TEST(OpTest, EveryCellIsTested) {
  std::string all = family_text("einsum") + family_text("sampling") + family_text("roi_align");
  for (const std::string& name : families()) all += family_text(name);
  for (const OpDef& def : op_table()) {
    if (def.onnx.empty()) continue;
    const bool quantization = def.name.find("quant") != std::string::npos;
    const bool nothing = def.onnx == "Identity";
    if (quantization || nothing) continue;
    const std::string call = "= " + std::string(def.name);
    const bool found =
        all.find(call + "(") != std::string::npos || all.find(call + " @") != std::string::npos;
    EXPECT_TRUE(found) << def.name << " has an ONNX cell and no test";
  }
}

}  // namespace
}  // namespace fxq::export_test
