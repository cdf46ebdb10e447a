// Every ONNX cell of the op table in float, each opset that has forms of its own: what ONNX Runtime
// computes. One graph holds a family, because starting ONNX Runtime takes longer than running it.
#include <gtest/gtest.h>

#include "compare.h"
#include "fxq/base/file.h"
#include "fxq/graph/ops/op_def.h"

namespace fxq::export_test {
namespace {

std::string family_text(const std::string& name) {
  const auto text =
      read_file(std::string(FXQ_SOURCE_DIR) + "/tests/export/op_families/" + name + ".txt");
  EXPECT_TRUE(text.ok()) << text.status();
  return text.ok() ? *text : "";
}

const std::vector<std::string>& families() {
  static const std::vector<std::string> names{"weighted", "norms",      "activations", "arithmetic",
                                              "choosing", "filling",    "pooling",     "movement",
                                              "indexing", "reductions", "recurrent",   "sizes"};
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
  std::string all = family_text("einsum");
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
