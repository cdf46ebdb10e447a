// Code that data decide about, as If and Loop: each file is run on inputs that take every way, and
// compared with the module's own forward.
#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include "../tracer/script_source.h"
#include "compare.h"
#include "flow_case.h"
#include "fxq/export/onnx_model.h"

namespace fxq::export_test {
namespace {

class FlowTest : public ::testing::TestWithParam<FlowCase> {
 protected:
  void SetUp() override {
    if (!has_onnx_runtime()) GTEST_SKIP() << "no ONNX Runtime: run ./dev setup";
  }
};

TEST_P(FlowTest, EveryWayAgrees) { expect_every_way_agrees(GetParam()); }

const FlowCase kBranches[] = {
    {"IfOfTensors",
     R"(
def forward(self, x):
    if bool(x.mean() > 0):
        y = torch.conv2d(x, self.w, self.b)
    else:
        y = x[:, :1, 1:-1, 1:-1].repeat(1, 4, 1, 1) - 1.0
    return y.relu()
)",
     {0.5, -0.5},
     {{"If", 1}, {"Conv", 1}}},
    {"BranchNotTakenByTheExample",
     R"(
def forward(self, x):
    if bool(x.mean() > 0):
        y = torch.conv2d(x, self.w, self.b).softmax(1)
    else:
        y = x[:, :1, 1:-1, 1:-1].repeat(1, 4, 1, 1)
    return y
)",
     {-0.5, 0.5},
     {{"If", 1}, {"Conv", 1}}},
    {"SizesThatDependOnTheBranch",
     R"(
def forward(self, x):
    y = x
    if bool(x.mean() > 0):
        y = x[:1]
    z = torch.zeros([y.size(0), 4])
    return y * 2, z + y.size(0)
)",
     {0.5, -0.5},
     {{"If", 1}}},
    {"IntsAndTruthValues",
     R"(
def forward(self, x):
    n = 2
    flag = False
    if bool(x.sum() > 0):
        n = x.size(1) * n - 1
        flag = True
    if flag or n > 7:
        x = x - 1.0
    if not flag and n == 2:
        x = x * 3.0
    return x * n
)",
     {0.5, -0.5},
     {{"If", 5}}},  // `or` and `and` are two of them
    {"EarlyReturn",
     R"(
def forward(self, x):
    if bool(x.mean() > 0.2):
        return x * 2.0
    y = x.relu()
    if bool(y.mean() > 0.05):
        return y + 1.0
    return y - 1.0
)",
     {0.5, 0.0, -3.0},
     {}},
    {"BranchInABranch",
     R"(
def forward(self, x):
    if bool(x.mean() > 0):
        if bool(x.max() > 3):
            y = x.sigmoid()
        else:
            y = x.tanh()
    else:
        y = x.abs()
    return y
)",
     {0.5, 4.0, -0.5},
     {{"If", 2}}},
    {"NumbersOfTensors",
     R"(
def forward(self, x):
    big = x.max().item()
    if float(x.max()) - 1.5 > float(x.min()) * 0.5:
        x = x * float(x.mean())
    k = int(x.abs().max() * 3)
    return x + torch.tensor(k) + max(k, 2) - min(k, 4)
)",
     {0.1, 3.0, -4.0},
     {{"If", 1}}},
    {"OneWeightInTwoBranches",
     R"(
def forward(self, x):
    if bool(x.mean() > 0):
        y = torch.conv2d(x, self.w, self.b).relu()
    else:
        y = torch.conv2d(x, self.w, None).tanh()
    return y + torch.conv2d(x, self.w, self.b)
)",
     {0.5, -0.5},
     {{"If", 1}, {"Conv", 3}}},
};

const FlowCase kLoops[] = {
    {"While",
     R"(
def forward(self, x):
    steps = 0
    while bool(x.abs().max() > 1.0) and steps < 8:
        x = x * 0.5
        steps += 1
    return x + steps
)",
     {4.0, 0.0, 900.0},
     {{"Loop", 1}}},
    {"ForAsOftenAsDataSay",
     R"(
def forward(self, x):
    for i in range(int(x.abs().max())):
        x = x + i * 0.25
    return x
)",
     {3.0, 0.0, 6.0},
     {{"Loop", 1}}},
    {"NoTripInTheExample",
     R"(
def forward(self, x):
    y = x.relu()
    for i in range(int(x.abs().max()) - 2):
        y = torch.conv2d(torch.pad(y, [1, 1, 1, 1]), self.w[:3], self.b[:3]).sigmoid()
    return y
)",
     {0.0, 5.0},
     {{"Loop", 1}}},
    {"RangeWithStartAndStep",
     R"(
def forward(self, x):
    n = int(x.abs().max())
    for i in range(2, n, 3):
        x = x + i
    for j in range(n, 0, -2):
        x = x * 1.5 - j
    return x
)",
     {4.0, 1.0, 11.0},
     {{"Loop", 2}}},
    {"BranchInALoop",
     R"(
def forward(self, x):
    n = 0
    while n < 6:
        if bool(x.mean() > 1.0):
            x = x - 0.75
        else:
            x = x + 0.5
            n += 1
        n += 1
    return x
)",
     {2.0, -1.0},
     {}},
    {"LoopInABranch",
     R"(
def forward(self, x):
    if bool(x.mean() > 0):
        while bool(x.sum() > 10.0):
            x = x * 0.5
    else:
        x = x.neg()
    return x
)",
     {3.0, -1.0, 0.01},
     {{"If", 1}, {"Loop", 1}}},
    {"LoopInALoop",
     R"(
def forward(self, x):
    n = int(x.abs().max())
    for i in range(n):
        for j in range(i):
            x = x + j * 0.5
        x = x * 0.9
    return x
)",
     {3.0, 0.0, 5.0},
     {{"Loop", 2}}},
    {"BreakAndContinue",
     R"(
def forward(self, x):
    for i in range(int(x.abs().max())):
        if i == 1:
            continue
        if bool(x.mean() > 12.0):
            break
        x = x + i
    return x
)",
     {4.0, 9.0, 0.0},
     {}},
    {"ReturnInALoop",
     R"(
def forward(self, x):
    for i in range(int(x.abs().max())):
        x = x * 0.5
        if bool(x.mean() < 0.5):
            return x + 100.0
    return x - 100.0
)",
     {4.0, 0.2, -3.0},
     {}},
    {"ReturnInAWhile",
     R"(
def forward(self, x):
    i = 0
    while i < 5 and bool(x.mean() < 4):
        x = x + 0.5
        i += 1
        if bool(x.sum() > 100):
            return x
    return x * 2
)",
     {0.5, -0.5, 3.0, 6.0}},
    {"FloatsGoRound",
     R"(
def forward(self, x):
    scale = 1.0
    while scale * float(x.abs().max()) > 0.5:
        scale = scale * 0.5 - 0.001
    return x * scale
)",
     {3.0, 0.0, 50.0},
     {{"Loop", 1}}},
    {"TensorsThatGrow",
     R"(
def forward(self, x):
    n = int(x.abs().max())
    y = x
    while y.size(0) < n:
        y = torch.cat([y, x * 0.5])
    return y, y.flatten(1).sum(1)
)",
     {5.0, 0.0, 9.0},
     {{"Loop", 1}}},
};

const FlowCase kWrites[] = {
    {"RowsThatALoopWrites",
     R"(
def forward(self, x):
    y = torch.zeros([8, 3, 5, 5])
    for i in range(int(x.abs().max())):
        y[i] = x[0] * i
    return y + x.mean()
)",
     {3.0, 0.0, 6.0},
     {{"Loop", 1}, {"ScatterElements", 1}}},
    {"SumsInPlace",
     R"(
def forward(self, x):
    total = torch.zeros_like(x)
    for i in range(int(x.abs().max())):
        total += x * i
    y = total.sigmoid()
    if bool(x.mean() > 1.0):
        y[0].mul_(2.0)
    return total.relu() - y
)",
     {3.0, 0.0, -4.0},
     {{"Loop", 1}, {"If", 1}}},
};

const FlowCase kLists[] = {
    {"ListThatALoopFills",
     R"(
def forward(self, x):
    parts = [x]
    for i in range(int(x.abs().max())):
        parts.append(x * i)
    return torch.cat(parts, 1), torch.stack(parts)
)",
     {3.0, 0.0, 6.0},
     {{"Loop", 1}, {"SequenceInsert", 1}}},
    {"ListThatABranchFills",
     R"(
def forward(self, x):
    parts: List[Tensor] = []
    if bool(x.mean() > 0):
        parts.append(x.relu())
    parts.append(x)
    return torch.cat(parts, 1)
)",
     {1.0, -1.0},
     {{"If", 1}}},
    {"ListThatALoopReads",
     R"(
def forward(self, x):
    parts: List[Tensor] = []
    for i in range(int(x.abs().max())):
        if i != 2:
            parts.append(x * i)
    total = torch.zeros_like(x)
    for part in parts:
        total = total * 0.5 + part
    if len(parts) > 1:
        total = total - parts[1]
    return total
)",
     {4.0, 0.0, 7.0},
     {{"Loop", 2}}},
    {"RowByRow",
     R"(
def forward(self, x):
    if bool(x.mean() > 0):
        x = x[:1]
    state = torch.zeros([3, 5, 5])
    seen: List[Tensor] = []
    for i in range(x.size(0)):
        state = torch.tanh(state * 0.5 + x[i])
        seen.append(state)
    return torch.stack(seen), state
)",
     {1.0, -1.0},
     {{"If", 1}, {"Loop", 1}}},
};

INSTANTIATE_TEST_SUITE_P(Branches, FlowTest, ::testing::ValuesIn(kBranches),
                         [](const auto& info) { return info.param.name; });
INSTANTIATE_TEST_SUITE_P(Loops, FlowTest, ::testing::ValuesIn(kLoops),
                         [](const auto& info) { return info.param.name; });
INSTANTIATE_TEST_SUITE_P(Writes, FlowTest, ::testing::ValuesIn(kWrites),
                         [](const auto& info) { return info.param.name; });
INSTANTIATE_TEST_SUITE_P(Lists, FlowTest, ::testing::ValuesIn(kLists),
                         [](const auto& info) { return info.param.name; });

// If and Loop have another form from opset 13 on, and sizes may be open.
TEST(FlowOpsetTest, OldOpsetsAndAnyBatch) {
  if (!has_onnx_runtime()) GTEST_SKIP() << "no ONNX Runtime: run ./dev setup";
  for (const FlowCase& one : {kBranches[0], kBranches[3], kLoops[0], kLoops[4], kLoops[10]}) {
    for (const int opset : {11, 13, 17}) {
      ExportOptions options = only_onnx(opset);
      options.dynamic_axes = {{"x", {{0, "N"}}}};
      expect_every_way_agrees(one, options, {{3, 3, 5, 5}, {20, 3, 5, 5}});
    }
  }
}

// Nets of tests/models, whose weights are read inside their loops and branches.
class FlowNetTest : public ::testing::TestWithParam<const char*> {};

TEST_P(FlowNetTest, EveryWayAgrees) {
  if (!has_onnx_runtime()) GTEST_SKIP() << "no ONNX Runtime: run ./dev setup";
  if (!has_fixture(GetParam(), "script")) GTEST_SKIP() << "no fixtures: run ./dev setup";
  const FloatNet net = fixture(GetParam(), "script");
  ExportOptions options;
  options.opset_version = 16;
  options.operator_export_type = OperatorExportTypes::kOnnx;
  options.enable_onnx_checker = true;
  ExportSummary summary;
  const auto proto = build_onnx_model(net.graph, net.input, options, summary);
  ASSERT_TRUE(proto.ok()) << proto.status();
  EXPECT_GE(summary.operators["If"] + summary.operators["Loop"], 1);
  const torch::jit::Module module =
      *load_script_module(std::string(FXQ_MODELS_DIR) + "/" + GetParam() + ".script.pt");
  for (const double scale : {1.0, -1.0, 5.0, 0.01}) {
    expect_same_as_module(**proto, module, net.input[0].toTensor() * scale);
  }
}

INSTANTIATE_TEST_SUITE_P(Nets, FlowNetTest,
                         ::testing::Values("odd_branch", "odd_levels", "odd_chosen", "odd_resized",
                                           "odd_decoder"),
                         [](const auto& info) { return std::string(info.param); });

// Integers outside, floats in the branches.
TEST(FlowQdqTest, NodesAroundABranchAreWithinOneStep) {
  if (!has_onnx_runtime()) GTEST_SKIP() << "no ONNX Runtime: run ./dev setup";
  if (!has_fixture("odd_branch", "script")) GTEST_SKIP() << "no fixtures: run ./dev setup";
  const FloatNet net = fixture("odd_branch", "script");
  const auto quantized = quantize_fixture("odd_branch", net.graph);
  ASSERT_TRUE(quantized);
  expect_nodes_within_one_step(*quantized, net.input, 16);
}

constexpr const char* kWithoutForm = R"(
def forward(self, x):
    y = torch.special_i0e(x)
    if bool(y.mean() > 0):
        z = torch.special_i1e(y)
    else:
        z = y.digamma()
    return torch.lgamma(z)
)";

// Lines of the module's own text.
TEST(FlowErrorTest, AllNodesInsideAndOutside) {
  const absl::Status status = export_status(kWithoutForm, only_onnx());
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(std::string(status.message()),
            R"(4 node(s) cannot be exported to ONNX
%special_i0e (aten::special_i0e) at <string>:3: X001 fxq has no ONNX form for this operator
%opaque_if_if_special_i1e (aten::special_i1e) at <string>:5: X001 fxq has no ONNX form for this operator
%opaque_if_if_digamma (aten::digamma) at <string>:7: X001 fxq has no ONNX form for this operator
%lgamma (aten::lgamma) at <string>:8: X001 fxq has no ONNX form for this operator)");
}

// What has no form goes out as it is, in the subgraph.
TEST(FlowErrorTest, FallsThroughInABranch) {
  ExportSummary summary;
  ExportOptions options = only_onnx();
  options.operator_export_type = OperatorExportTypes::kOnnxFallthrough;
  const absl::Status status = export_status(kWithoutForm, options, &summary);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(summary.operators["aten.special_i1e"], 1);
  EXPECT_EQ(summary.operators["aten.digamma"], 1);
  EXPECT_EQ(summary.operators["If"], 1);
  EXPECT_EQ(summary.fallthrough.size(), 4U);
}

TEST(FlowErrorTest, WritesIntoWhatIsOutside) {
  const absl::Status status = export_status(R"(
def forward(self, x):
    if bool(x.mean() > 0):
        x.add_(1.0)
    return x * 2.0
)",
                                            only_onnx());
  EXPECT_EQ(std::string(status.message()),
            R"(1 node(s) cannot be exported to ONNX
%opaque_if (opaque_if) at <string>:3: X002 TorchScript code has no ONNX form: <string>:3: it changes a tensor in place that is seen elsewhere too)");
}

TEST(FlowErrorTest, ListsNeedOpset14) {
  const char* source = R"(
def forward(self, x):
    parts = [x]
    for i in range(int(x.abs().max())):
        parts.append(x * i)
    return torch.cat(parts, 1)
)";
  EXPECT_TRUE(export_status(source, only_onnx(14)).ok());
  EXPECT_EQ(std::string(export_status(source, only_onnx(13)).message()),
            R"(1 node(s) cannot be exported to ONNX
%opaque_loop_loop (loop) at <string>:4: X003 it gives a list of tensors, which needs opset 14)");
}

}  // namespace
}  // namespace fxq::export_test
