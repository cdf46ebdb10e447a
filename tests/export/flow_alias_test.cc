// Tensors that branches and loops write into while something else shows them: other variables,
// views, lists. ONNX has values only: such code is refused, or comes out right.
#include <gtest/gtest.h>

#include "compare.h"
#include "flow_case.h"

namespace fxq::export_test {
namespace {

struct AliasCase {
  const char* name;
  const char* reason;  // part of the message; empty: it is exported
  const char* source;
};

void PrintTo(const AliasCase& one, std::ostream* out) { *out << one.name; }

class FlowAliasTest : public ::testing::TestWithParam<AliasCase> {};

TEST_P(FlowAliasTest, IsRefusedOrRight) {
  const AliasCase& one = GetParam();
  if (*one.reason != 0) {
    const absl::Status status = export_status(one.source, only_onnx());
    EXPECT_NE(status.message().find(one.reason), absl::string_view::npos) << status;
    return;
  }
  if (!has_onnx_runtime()) GTEST_SKIP() << "no ONNX Runtime: run ./dev setup";
  expect_every_way_agrees({one.name, one.source, {0.5, -0.5, 3.0, 6.0}, {}});
}

constexpr const char* kGoesRound =
    "what goes round in a loop changes in place, and is seen elsewhere too";
constexpr const char* kSeen = "it changes a tensor in place that is seen elsewhere too";

const AliasCase kRound[] = {
    {"AnotherVariableInTheNextTrip", kGoesRound, R"(
def forward(self, x):
    a = x * 0
    b = x.clone()
    s = x * 0
    for i in range(int(x.abs().max())):
        b.add_(1.0)
        s = s + a
        a = b
    return s
)"},
    {"ViewInTheNextTrip", kGoesRound, R"(
def forward(self, x):
    y = x.clone()
    r = x[0] * 0
    s = x[0] * 0
    for i in range(int(x.abs().max())):
        y.add_(1.0)
        s = s + r
        r = y[0]
    return s
)"},
    {"AnotherVariableInTheFirstTrip", kGoesRound, R"(
def forward(self, x):
    a = x * 2
    b = a
    s = x
    for i in range(int(x.abs().max())):
        a.add_(1.0)
        s = s + b
        b = s * 2
    return s
)"},
    {"ListThatKeepsIt", kGoesRound, R"(
def forward(self, x):
    y = x.clone()
    parts: List[Tensor] = []
    for i in range(int(x.abs().max())):
        y.add_(1.0)
        parts.append(y)
    if len(parts) == 0:
        return x
    return torch.stack(parts)
)"},
    {"ListOfNewOnes", "", R"(
def forward(self, x):
    y = x.clone()
    parts = [x]
    for i in range(int(x.abs().max())):
        y = y * 2
        parts.append(y)
    return torch.cat(parts)
)"},
    {"NobodyReadsTheOther", "", R"(
def forward(self, x):
    a = x.clone()
    b = x.clone()
    for i in range(int(x.abs().max())):
        a.add_(1.0)
        b = a
    return a, b
)"},
    {"TheyChangePlaces", "", R"(
def forward(self, x):
    a = x * 2
    b = x * 3
    for i in range(int(x.abs().max())):
        a.add_(b)
        a, b = b, a
    return a, b
)"},
};

const AliasCase kLater[] = {
    {"SecondBranch", kSeen, R"(
def forward(self, x):
    y = x.clone()
    if bool(x.mean() > 0):
        z = y
        y.add_(1.0)
    else:
        z = y.relu()
    if bool(x.max() > 2):
        y.mul_(2.0)
    return z, y
)"},
    {"LoopAfterABranch", kSeen, R"(
def forward(self, x):
    y = x.clone()
    z = x
    if bool(x.mean() > 0):
        y.add_(1.0)
        z = y[0]
    for i in range(int(x.abs().max())):
        y[i % 2] = y[i % 2] * 2.0
    return z + 1, y
)"},
    {"BranchAfterALoop", kSeen, R"(
def forward(self, x):
    y = x.clone()
    z = x * 0
    for i in range(int(x.abs().max())):
        y.add_(1.0)
        z = y
    if bool(x.max() > 2):
        y.mul_(2.0)
    return z, y
)"},
    {"OnlyReadLater", "", R"(
def forward(self, x):
    y = x.clone()
    if bool(x.mean() > 0):
        z = y
        z.add_(1.0)
    else:
        z = y * 2
    return y, z
)"},
    {"TwoBranchesOneTensor", "", R"(
def forward(self, x):
    y = x.clone()
    if bool(x.mean() > 0):
        y.add_(1.0)
    if bool(x.max() > 2):
        y.mul_(2.0)
    return y
)"},
    {"TwoBranchesWithResults", "", R"(
def forward(self, x):
    y = x.clone()
    z = x
    if bool(x.mean() > 0):
        y.add_(1.0)
        z = x * 2
    if bool(x.max() > 2):
        y.mul_(2.0)
        z = z + 1
    return y, z
)"},
};

const AliasCase kInside[] = {
    {"ViewInABranchInALoop", kSeen, R"(
def forward(self, x):
    s = x
    for i in range(int(x.abs().max())):
        y = x * 2
        z = y.view([-1])
        if bool(x.mean() > 0):
            y.add_(1.0)
            s = s + z.view([-1, 3, 5, 5])
    return s
)"},
    {"ViewInALoopInALoop", kSeen, R"(
def forward(self, x):
    s = x
    for i in range(int(x.abs().max())):
        y = x * 2
        z = y.view([-1])
        for j in range(i):
            y.add_(1.0)
            s = s + z.view([-1, 3, 5, 5])
    return s
)"},
    {"ViewOfWhatGoesRound", "changes in place", R"(
def forward(self, x):
    s = x
    for i in range(int(x.abs().max())):
        y = x * 2
        z = y.view([-1])
        j = 0
        while bool(y.mean() < 3) and j < 3:
            y += 1.0
            s = s + z.view([-1, 3, 5, 5])
            j += 1
    return s
)"},
};

const AliasCase kGiven[] = {
    {"ResultOfNoTrip", "", R"(
def forward(self, x):
    s = x
    for i in range(int(x.abs().max())):
        y = x * 2
        z = y
        for j in range(i):
            z = z * 2
        s = s + z
        z = y * 3
    return s
)"},
    {"WrittenResultOfNoTrip", "X001", R"(
def forward(self, x):
    s = x
    for i in range(int(x.abs().max())):
        y = x * 2
        z = y
        for j in range(i):
            z = z * 2
        z.add_(1.0)
        s = s + y
    return s
)"},
    {"WrittenResultOfABranch", "X001", R"(
def forward(self, x):
    s = x
    for i in range(int(x.abs().max())):
        y = x * 2
        z = x * 3
        if bool(s.mean() > 1):
            z = y
        z.add_(1.0)
        s = s + y
    return s
)"},
    {"WrittenResultOfItsOwn", "", R"(
def forward(self, x):
    s = x
    for i in range(int(x.abs().max())):
        y = x * 2
        if bool(s.mean() > 1):
            z = y * 2
        else:
            z = x * 3
        z.add_(1.0)
        s = s + y + z
    return s
)"},
};

const AliasCase kInLists[] = {
    {"ListBesideItsItem", kSeen, R"(
def forward(self, x):
    y = x.clone()
    l = [y, x]
    if bool(x.mean() > 0):
        y.add_(1.0)
        s = torch.stack(l)
    else:
        s = torch.stack([x, x])
    return s, y
)"},
    {"ItemOfAList", "a tensor that is inside a list or dict changes in place", R"(
def forward(self, x):
    l = [x * 2, x * 3]
    if bool(x.mean() > 0):
        l[0].add_(1.0)
    else:
        l[1].mul_(2.0)
    return l[0], l[1]
)"},
    {"ItemOfAListInALoop", "a tensor that is inside a list or dict changes in place", R"(
def forward(self, x):
    l = [x * 1.0]
    for i in range(int(x.abs().max())):
        l[0].add_(1.0)
    return l[0]
)"},
};

std::string alias_name(const ::testing::TestParamInfo<AliasCase>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(Round, FlowAliasTest, ::testing::ValuesIn(kRound), alias_name);
INSTANTIATE_TEST_SUITE_P(Later, FlowAliasTest, ::testing::ValuesIn(kLater), alias_name);
INSTANTIATE_TEST_SUITE_P(Inside, FlowAliasTest, ::testing::ValuesIn(kInside), alias_name);
INSTANTIATE_TEST_SUITE_P(Given, FlowAliasTest, ::testing::ValuesIn(kGiven), alias_name);
INSTANTIATE_TEST_SUITE_P(InLists, FlowAliasTest, ::testing::ValuesIn(kInLists), alias_name);

}  // namespace
}  // namespace fxq::export_test
