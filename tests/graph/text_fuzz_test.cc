// Damaged texts end in a Status or in a graph that verifies and prints; never in a crash.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fxq/graph/text.h"
#include "fxq/graph/verifier.h"

namespace fxq {
namespace {

using ::testing::HasSubstr;

const char* const kText = R"txt(setting march = "CPU"
guard "n > 1 (net.py:7)"
module @c.1 = conv2d(weight: f32[4,3,1,1], bias: none, stride=[2,2]) {class="Conv", frozen=["weight"]}
buffer @p : i8[1,4] # positions
state @p = values([1,-2,3,4])
state * = normal(7, 0.5)
graph (%x: f32[N,3,?,...], %y "in": ? = none {source="a.py:1"}) {
  %c = conv2d @c.1(%x, add=%y, activation="relu") : i8[N,4] q(0.5, 3)
  %w = get_attr @p
  %s = aten::special_i0e(%c) {owner="a", origins=["b","c"], mode}
  %m = method split(%s, (1,), slice(0, none, 2), {"k": -1.5e-3})
  return (a=%m, b=[%w, true, device("cpu")])
}
)txt";

void expect_survived(const std::string& text) {
  auto gm = parse_text(text);
  if (!gm.ok()) {
    EXPECT_EQ(gm.status().code(), absl::StatusCode::kInvalidArgument) << gm.status();
    EXPECT_FALSE(gm.status().message().empty());
    return;
  }
  ASSERT_TRUE(verify(*gm).ok()) << verify(*gm) << "\n" << text;
  PrintOptions all;
  all.annotations = true;
  const std::string printed = print_text(*gm, all);
  auto again = parse_text(printed);
  ASSERT_TRUE(again.ok()) << again.status() << "\n" << printed;
  EXPECT_EQ(print_text(*again, all), printed);
}

TEST(TextFuzzTest, Truncated) {
  const std::string text = kText;
  for (size_t size = 0; size < text.size(); ++size) expect_survived(text.substr(0, size));
}

TEST(TextFuzzTest, OneByteChanged) {
  const std::string bytes("%@\"({[:=,9x-\n\0\xff", 16);
  const std::string text = kText;
  for (size_t i = 0; i < text.size(); ++i) {
    std::string damaged = text;
    damaged[i] = bytes[i % bytes.size()];
    expect_survived(damaged);
  }
}

TEST(TextFuzzTest, OneByteGoneOrTwice) {
  const std::string text = kText;
  for (size_t i = 0; i < text.size(); ++i) {
    std::string damaged = text;
    if (i % 2 == 0) {
      damaged.erase(i, 1);
    } else {
      damaged.insert(i, 1, text[i]);
    }
    expect_survived(damaged);
  }
}

TEST(TextFuzzTest, DeepNestingIsRefused) {
  for (const char* open : {"[", "(", "{1: ", "slice("}) {
    std::string nested;
    for (int i = 0; i < 100000; ++i) nested += open;
    const auto gm = parse_text("graph (%x) { %r = relu(" + nested);
    EXPECT_THAT(std::string(gm.status().message()), HasSubstr("nested too deeply"));
  }
  std::string nested;
  for (int i = 0; i < 100000; ++i) nested += "list(";
  EXPECT_THAT(std::string(parse_type(nested).status().message()), HasSubstr("nested too deeply"));
}

TEST(TextFuzzTest, LongGraphsAreFine) {
  std::string text = "graph (%x) {\n";
  std::string last = "x";
  for (int i = 0; i < 20000; ++i) {
    const std::string name = "r" + std::to_string(i);
    text += "  %" + name + " = relu(%" + last + ")\n";
    last = name;
  }
  text += "  return %" + last + "\n}\n";
  auto gm = parse_text(text);
  ASSERT_TRUE(gm.ok()) << gm.status();
  EXPECT_EQ(print_text(*gm), text);
}

}  // namespace
}  // namespace fxq
