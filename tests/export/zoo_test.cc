// The other architectures (tests/models/zoo_nets.py): float files, and int8 files node by node.
#include <gtest/gtest.h>

#include "compare.h"

namespace fxq::export_test {
namespace {

struct Net {
  std::string name, kind;
};

class ZooTest : public ::testing::TestWithParam<Net> {
 protected:
  void SetUp() override {
    if (!has_onnx_runtime()) GTEST_SKIP() << "no ONNX Runtime: run ./dev setup";
    if (!has_fixture(GetParam().name, GetParam().kind)) {
      GTEST_SKIP() << GetParam().name << " is not there: run ./dev setup";
    }
  }
};

TEST_P(ZooTest, FloatAgrees) {
  FloatCheck check;
  check.options.opset_version = 13;
  check.tag = GetParam().name;
  expect_same_floats(fixture(GetParam().name, GetParam().kind), check);
}

TEST_P(ZooTest, QdqNodesAreWithinOneStep) {
  const FloatNet net = fixture(GetParam().name, GetParam().kind);
  const auto quantized = quantize_fixture(GetParam().name, net.graph);
  ASSERT_TRUE(quantized);
  expect_nodes_within_one_step(*quantized, net.input);
}

std::vector<Net> nets() {
  std::vector<Net> all;
  for (const char* name :
       {"resnet50", "vgg11_bn", "squeezenet1_1", "densenet121", "googlenet", "inception_v3",
        "shufflenet_v2_x1_0", "mnasnet1_0", "mobilenet_v3_large", "efficientnet_b0",
        "regnet_y_400mf", "fcn_resnet50", "unet", "pnet", "rnet"}) {
    for (const char* kind : {"script", "trace"}) all.push_back({name, kind});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Nets, ZooTest, ::testing::ValuesIn(nets()),
                         [](const auto& info) { return info.param.name + "_" + info.param.kind; });

}  // namespace
}  // namespace fxq::export_test
