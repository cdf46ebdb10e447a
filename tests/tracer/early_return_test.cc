// A return inside a loop that data decide: TorchScript goes on with values that were never set, and
// they cross from node to node of the graph.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "script_source.h"

namespace fxq {
namespace {

struct EarlyReturn {
  const char* name;
  const char* inside;
  const char* after;
};

void PrintTo(const EarlyReturn& one, std::ostream* out) { *out << one.name; }

class EarlyReturnTest : public ::testing::TestWithParam<EarlyReturn> {};

TEST_P(EarlyReturnTest, GivesWhatTheModuleGives) {
  const auto module = script_module(std::string(R"(
def forward(self, x):
    i = 0
    while i < 5 and bool(x.mean() < 4):
        x = x + 0.5
        i += 1
        if bool(x.sum() > 20):
            return )") + GetParam().inside +
                                    "\n    return " + GetParam().after + "\n");
  const auto gm = trace(module);
  ASSERT_TRUE(gm.ok()) << gm.status();
  for (const double value : {-3.0, 0.0, 2.5, 6.0}) {
    expect_equal_results(module, *gm, {at::full({2, 3}, value)});
  }
}

const EarlyReturn kReturns[] = {
    {"Tensor", "x", "x * 2"},
    {"Int", "x * i", "x"},
    {"TensorAndInt", "x, x * i", "x * 2, x"},
    {"List", "[x, x]", "[x]"},
    {"TupleOfNumbers", "x, i > 2, i * 0.5", "x, i < 1, float(i)"},
};

INSTANTIATE_TEST_SUITE_P(Forms, EarlyReturnTest, ::testing::ValuesIn(kReturns),
                         [](const auto& info) { return info.param.name; });

TEST(EarlyReturn, OfARangeThatIsUnrolled) {
  const auto module = script_module(R"(
def forward(self, x):
    for i in range(4):
        x = x + 0.5
        if bool(x.mean() > 2):
            return x
    return x * 2
)");
  const auto gm = trace(module);
  ASSERT_TRUE(gm.ok()) << gm.status();
  for (const double value : {-3.0, 0.9, 6.0}) {
    expect_equal_results(module, *gm, {at::full({2, 3}, value)});
  }
}

}  // namespace
}  // namespace fxq
