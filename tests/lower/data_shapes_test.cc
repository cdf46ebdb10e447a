// Programs in which data decides shapes: boxes that are kept, lengths of sequences. What follows is
// bound for what came out, and what came before runs once.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fxq/graph/tensor_convert.h"
#include "script_net.h"

namespace fxq {
namespace {

using lower_test::ScriptNet;
using ::testing::HasSubstr;

at::Tensor rows(const std::vector<float>& first) {
  at::Tensor x = at::arange(static_cast<int64_t>(first.size()) * 3, at::kFloat).view({-1, 3});
  for (size_t i = 0; i < first.size(); ++i) x[static_cast<int64_t>(i)][0] = first[i];
  return x;
}

// Zeros keep no row: the program gave [0,3] for every input.
TEST(DataShapes, AMaskKeepsAsManyRowsAsDataSays) {
  ScriptNet net(R"(
def forward(self, x):
    y = x + 1
    kept = y[y[:, 0] > 1]
    best, order = kept[:, 1].topk(min(2, kept.size(0)))
    return kept * 2, best, kept[order]
)",
                {rows({1, -1, 1, 1})});
  int runs = 0;
  for (const auto& first : std::vector<std::vector<float>>{
           {1, -1, 1, 1}, {-1, -1, -1, -1}, {1, 1, 1, 1}, {1, -1, 1, 1}, {-1, -1, 5, -1}}) {
    net.expect_equal({rows(first)});
    ++runs;
  }
  const std::vector<StepProfile> profile = net.executor->profile();
  ASSERT_FALSE(profile.empty());
  EXPECT_EQ(profile[0].calls, runs) << "what comes before the mask runs once";
}

// Zeros are no lengths: "Length of all samples has to be greater than 0".
TEST(DataShapes, LengthsOfSequences) {
  ScriptNet net(R"(
def forward(self, x, lengths):
    data, sizes = torch._pack_padded_sequence(x * 2, lengths, True)
    return torch.tanh(data), sizes
)",
                {at::randn({3, 4, 2}), at::tensor({4, 2, 1}, at::kLong)});
  net.expect_equal({at::randn({3, 4, 2}), at::tensor({4, 2, 1}, at::kLong)});
  net.expect_equal({at::randn({3, 4, 2}), at::tensor({3, 3, 3}, at::kLong)});
  net.expect_equal({at::randn({2, 4, 2}), at::tensor({4, 4}, at::kLong)});
  EXPECT_THAT(
      std::string(
          net.run({at::randn({2, 4, 2}), at::tensor({4, 0}, at::kLong)}).status().message()),
      HasSubstr("greater than 0"));
}

// A trace of a packed LSTM: LibTorch reads beyond its arrays where batch_sizes are zeros.
TEST(DataShapes, APackedSequenceIsReadWithRealLengths) {
  ScriptNet net(R"(
def forward(self, x, lengths, h):
    data, sizes = torch._pack_padded_sequence(x, lengths, True)
    w = torch.full((8, 2), 0.5)
    u = torch.full((8, 2), 0.25)
    b = torch.full((8,), 0.1)
    y, hn, cn = torch.lstm(data, sizes, [h, h], [w, u, b, b], True, 1, 0.0, False, False)
    padded, counts = torch._pad_packed_sequence(y, sizes, True, 0.0, 4)
    return padded, hn, counts
)",
                {at::randn({3, 4, 2}), at::tensor({4, 2, 1}, at::kLong), at::zeros({1, 3, 2})});
  for (const auto& lengths : std::vector<std::vector<int64_t>>{{4, 2, 1}, {3, 3, 2}, {4, 4, 4}}) {
    net.expect_equal({at::randn({3, 4, 2}), at::tensor(lengths, at::kLong), at::zeros({1, 3, 2})});
  }
}

// Nothing before it runs on what zeros give, so all of it waits for data.
TEST(DataShapes, WhatZerosCannotSay) {
  ScriptNet net(R"(
def forward(self, x):
    kept = x[x[:, 0] > 0]
    pairs = kept.view(2, -1, 3)
    return torch.cat([pairs[0], pairs[1]], 1)
)",
                {rows({1, 1, 1, 1})});
  net.expect_equal({rows({1, 1, 1, 1})});
  net.expect_equal({rows({1, -1, 1, -1})});
  EXPECT_FALSE(net.run({rows({1, 1, 1, -1})}).ok()) << "three rows are no pairs";
  net.expect_equal({rows({1, 1, 1, 1})});
}

TEST(DataShapes, ATapShowsEachValueOnce) {
  const ScriptNet net("def forward(self, x):\n    return x[x[:, 0] > 0] + 1\n", {rows({1, 1})});
  std::map<std::string, int> seen;
  const HostTensor x = to_host_tensor(rows({1, -1, 3})).value();
  const auto tap = [&](const Value& value, const HostTensor&) { ++seen[value.name]; };
  const auto outputs = net.executor->run_tapped({x}, tap);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  EXPECT_EQ((*outputs)[0].dims(), (std::vector<int64_t>{2, 3}));
  for (const auto& [name, count] : seen) EXPECT_EQ(count, 1) << name;
}

}  // namespace
}  // namespace fxq
