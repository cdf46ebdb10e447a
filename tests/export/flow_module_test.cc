// Modules and functions of torch.nn inside a branch, whose code asks for a mode that is known:
// `if inplace:`, `if training:`.
#include <gtest/gtest.h>

#include "compare.h"
#include "flow_case.h"

namespace fxq::export_test {
namespace {

class FlowModuleTest : public ::testing::TestWithParam<FlowCase> {};

TEST_P(FlowModuleTest, EveryWayAgrees) {
  if (!has_onnx_runtime()) GTEST_SKIP() << "no ONNX Runtime: run ./dev setup";
  expect_every_way_agrees(GetParam());
}

// As torch.nn.functional has them.
const FlowCase kFunctions[] = {
    {"Relu",
     R"(
def relu(self, x, inplace: bool):
    if inplace:
        result = torch.relu_(x)
    else:
        result = torch.relu(x)
    return result

def forward(self, x):
    if bool(x.mean() > 0):
        x = self.relu(x - 0.3, False) + self.relu(x, False)
    return x
)",
     {0.5, -0.5}},
    {"ReluOfWhatGoesRound",
     R"(
def relu(self, x, inplace: bool):
    if inplace:
        result = torch.relu_(x)
    else:
        result = torch.relu(x)
    return result

def forward(self, x):
    for i in range(int(x.abs().max())):
        x = x + self.relu(x - 1.0, False)
    return x
)",
     {0.5, 3.0}},
    {"BatchNorm",
     R"(
def norm(self, x):
    if self.training and self.count is not None:
        self.count.add_(1)
    return torch.batch_norm(x, None, None, self.c[:3], self.c[2:], True, 0.1, 1e-5, False)

def forward(self, x):
    if bool(x.mean() > 0):
        x = self.norm(x)
    return x
)",
     {0.5, -0.5}},
};

INSTANTIATE_TEST_SUITE_P(Functions, FlowModuleTest, ::testing::ValuesIn(kFunctions),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace fxq::export_test
