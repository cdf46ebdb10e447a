// Sizes that the file leaves open, or that data decide: what is computed from them, and what is
// made with them, is no constant of the file, however alike the example's runs were.
#include <gtest/gtest.h>

#include "compare.h"
#include "flow_case.h"

namespace fxq::export_test {
namespace {

class FlowSizeTest : public ::testing::TestWithParam<FlowCase> {
 protected:
  void SetUp() override {
    if (!has_onnx_runtime()) GTEST_SKIP() << "no ONNX Runtime: run ./dev setup";
  }
};

TEST_P(FlowSizeTest, DataDecideThem) { expect_every_way_agrees(GetParam()); }

const FlowCase kDataSizes[] = {
    {"SliceUpToANumber",
     R"(
def forward(self, x):
    n = int(x.abs().max())
    y = x[:, :, :n]
    return y / (y.size(2) + 1)
)",
     {0.5, -0.5, 3.0, 6.0}},
    {"NothingInTheExample",
     R"(
def forward(self, x):
    n = int(x.abs().min())
    y = x[:, :, :n]
    return x * y.size(2)
)",
     {0.5, 3.0, 6.0}},
    {"GrowsOnlyInLateTrips",
     R"(
def forward(self, x):
    z = x
    for i in range(int(x.abs().max())):
        y = x.flatten()[:10 + i // 4]
        z = z + y.size(0)
    return z
)",
     {0.5, 6.0, 8.0}},
    {"GoesRoundAndGrowsSlowly",
     R"(
def forward(self, x):
    y = x.flatten()
    i = 0
    while i < int(x.abs().max()):
        i += 1
        y = torch.cat([y, x.flatten()[:i // 5]])
    return y, y * y.size(0), torch.zeros([y.size(0)])
)",
     {0.5, 6.0, 8.0, 11.0}},
    {"ReshapedAfterTheLoop",
     R"(
def forward(self, x):
    y = x
    i = 0
    while i < int(x.abs().max()):
        i += 1
        k = max(2, i - 3)
        y = x[:1].repeat(k, 1, 1, 1)
    return y.reshape([-1, y.size(0)]), y.flatten(1)
)",
     {0.5, 6.0, 8.0, 11.0}},
    {"TwoBranchesTogether",
     R"(
def forward(self, x):
    n = 1
    if bool(x.mean() > 0):
        n = 2
    m = 1
    if bool(x.max() > 4):
        m = 2
    y = x.repeat([n * m, 1, 1, 1])
    z = y.repeat([4 // (n * m), 1, 1, 1])
    k = 0
    if n * m == 4:
        k = y.size(0)
    return z * z.size(0), y + y.size(0) + k
)",
     {0.5, -0.5, 6.0, -8.0}},
};

INSTANTIATE_TEST_SUITE_P(Sizes, FlowSizeTest, ::testing::ValuesIn(kDataSizes),
                         [](const auto& info) { return info.param.name; });

class OpenBatchTest : public FlowSizeTest {};

TEST_P(OpenBatchTest, AnyBatch) {
  ExportOptions options = only_onnx();
  options.dynamic_axes = {{"x", {{0, "N"}}}};
  expect_every_way_agrees(GetParam(), options, {{3, 3, 5, 5}, {20, 3, 5, 5}});
}

// Two images and three give the same number; twenty do not.
const FlowCase kOpenBatches[] = {
    {"NumberOfASize",
     R"(
def forward(self, x):
    return x * (x.size(0) // 10 + 1)
)",
     {0.5}},
    {"TensorMadeOfIt",
     R"(
def forward(self, x):
    return x * torch.ones([x.size(0) // 10 + 1, 5]).sum(0)
)",
     {0.5}},
    {"InABranch",
     R"(
def forward(self, x):
    y = x
    if bool(x.mean() > 0):
        y = x * (x.size(0) // 10 + 1)
    return y
)",
     {0.5, -0.5}},
    {"SizeMadeOfIt",
     R"(
def forward(self, x):
    y = x[:, :, :x.size(0) // 10 + 1]
    return y * y.size(2)
)",
     {0.5}},
};

INSTANTIATE_TEST_SUITE_P(Sizes, OpenBatchTest, ::testing::ValuesIn(kOpenBatches),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace fxq::export_test
