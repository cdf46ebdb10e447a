// Lists, dicts and None between TorchScript code and the calls that read them: no values of a
// program, so one part.
#include "fxq/runtime/lower/loose_values.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fxq/runtime/lower/lower.h"
#include "script_net.h"

namespace fxq {
namespace {

using lower_test::ScriptNet;
using ::testing::HasSubstr;

void expect_equal(const ScriptNet& net, const std::vector<std::vector<at::Tensor>>& runs) {
  for (const auto& inputs : runs) net.expect_equal(inputs);
}

// "%getitem is list(f32[2,8]), needs to be one value"
TEST(LooseValues, AListOfAsManyStepsAsDataTakes) {
  const ScriptNet net(R"(
def forward(self, x):
    outs : List[Tensor] = []
    h = x * 2
    while bool(h.abs().max() > 0.1):
        h = torch.tanh(h) * 0.5
        outs.append(h)
    return torch.stack(outs, 1) + 1
)",
                      {at::ones({2, 3})});
  expect_equal(net, {{at::ones({2, 3})}, {at::full({2, 3}, 0.2)}, {at::full({1, 3}, -9.0)}});
}

// "an empty dict argument"
TEST(LooseValues, ADictThatABranchFills) {
  const ScriptNet net(R"(
def forward(self, x):
    d : Dict[str, Tensor] = {}
    h = x * 2
    if bool(h.sum() > 0):
        d["a"] = h + 1
    else:
        d["a"] = h - 1
        d["b"] = h
    return torch.relu(d["a"]) * 3
)",
                      {at::ones({2, 3})});
  expect_equal(net, {{at::ones({2, 3})}, {-at::ones({2, 3})}});
}

// "its result 0 is None for zeros and a tensor for this data"
TEST(LooseValues, WhatMayBeNone) {
  const ScriptNet net(R"(
def forward(self, x):
    best : Optional[Tensor] = None
    h = x * 2
    if bool(h.sum() > 0):
        best = h * 3
    if best is None:
        r = h
    else:
        r = best
    return r + 1
)",
                      {at::ones({2, 3})});
  expect_equal(net, {{at::ones({2, 3})}, {-at::ones({2, 3})}, {at::eye(3)}});
}

TEST(LooseValues, AShapeThatABranchChooses) {
  const ScriptNet net(R"(
def forward(self, x):
    if bool(x.sum() > 0):
        s = [3, 2]
    else:
        s = [6, 1]
    return x.reshape(s) * 2
)",
                      {at::ones({2, 3})});
  expect_equal(net, {{at::ones({2, 3})}, {-at::ones({2, 3})}});
}

// What is between two calls of a part belongs to it; what only reads its tensors does not.
TEST(LooseValues, APartIsClosed) {
  const ScriptNet net(R"(
def forward(self, x):
    d : Dict[str, Tensor] = {}
    s = x.sum()
    if bool(s > 0):
        d["a"] = x
        n = x + 1
    else:
        d["a"] = x * 2
        n = x - 1
    between = torch.tanh(n)
    return d["a"] + between, between * 2
)",
                      {at::ones({2, 3})});
  expect_equal(net, {{at::ones({2, 3})}, {-at::ones({2, 3})}});
}

TEST(LooseValues, AListThatTheModelReturnsIsRefused) {
  const auto program = lower_test::program_of(R"(
def forward(self, x):
    outs : List[Tensor] = []
    h = x * 2
    while bool(h.abs().max() > 0.1):
        h = torch.tanh(h) * 0.5
        outs.append(h)
    return outs
)",
                                              {at::ones({2, 3})});
  EXPECT_THAT(std::string(program.status().message()), HasSubstr("the model returns it"));
}

// "Input must be of ints, floats, or bools, got Tensor"
TEST(LooseValues, NumbersOfDataBecomeATensor) {
  const ScriptNet net(R"(
def forward(self, x):
    a, b = int((x[0] > 0).sum().item()), int((x[1] > 0).sum().item())
    return x * torch.tensor([a, b]).unsqueeze(1)
)",
                      {at::ones({2, 3})});
  expect_equal(net, {{at::ones({2, 3})}, {at::eye(2, 3)}});
}

// A loop is not tried on made-up numbers: on zeros this one never ends.
TEST(LooseValues, AWhileLoopWaitsForData) {
  const ScriptNet net(R"(
def forward(self, x):
    d : Dict[str, Tensor] = {}
    d["x"] = x
    while bool(d["x"].sum() < 10):
        d["x"] = d["x"] * 2
    return d["x"] + 1
)",
                      {at::ones({2, 3})});
  expect_equal(net, {{at::ones({2, 3})}, {at::full({1, 3}, 0.1)}});
}

}  // namespace
}  // namespace fxq
