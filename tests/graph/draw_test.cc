// DOT and SVG of small graphs.
#include "fxq/graph/draw.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fxq/graph/text.h"

namespace fxq {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

GraphModule net() {
  auto gm = parse_text(R"(
    module @layer1.0.conv = conv2d(weight: f32[4,3,1,1], bias: none)
    graph (%x: f32[N,3,8,8]) {
      %c = conv2d @layer1.0.conv(%x, activation="relu") : i8[N,4,8,8] q(0.5)
      %d = dropout(%c, 0.5, false) {owner="layer1", class="a<b>&\"c\""}
      return %d
    })");
  EXPECT_TRUE(gm.ok()) << gm.status();
  return *std::move(gm);
}

TEST(DrawTest, DotHasNodesEdgesAndBoxes) {
  const std::string dot = to_dot(net());
  EXPECT_THAT(dot, HasSubstr("\"c\" [label=\"c\\nconv2d + relu\\ni8[N,4,8,8] q(0.5)\""));
  EXPECT_THAT(dot, HasSubstr("\"x\" -> \"c\";\n\"c\" -> \"d\";"));
  EXPECT_THAT(dot, HasSubstr("label=\"layer1\";\n\"d\""));
  EXPECT_THAT(dot, HasSubstr("label=\"layer1.0\";\n\"c\""));
}

TEST(DrawTest, ShapesAndBoxesCanBeLeftOut) {
  DrawOptions options;
  options.shapes = false;
  options.module_clusters = false;
  const std::string dot = to_dot(net(), options);
  EXPECT_THAT(dot, Not(HasSubstr("subgraph")));
  EXPECT_THAT(dot, Not(HasSubstr("f32[")));
}

TEST(DrawTest, DevicesAreInTheLabels) {
  GraphModule gm = net();
  gm.graph().find("c")->device = "BPU";
  gm.graph().find("d")->device = "CPU";
  const std::string dot = to_dot(gm);
  EXPECT_THAT(dot, HasSubstr("q(0.5)\\nBPU\""));
  EXPECT_THAT(dot, HasSubstr("\\nCPU\", fillcolor=\"#ffd8a8\""));
}

TEST(DrawTest, Svg) {
  const auto svg = to_svg(net());
  ASSERT_TRUE(svg.ok()) << svg.status();
  EXPECT_THAT(*svg, StartsWith("<svg"));
  EXPECT_THAT(*svg, HasSubstr("conv2d + relu"));
  EXPECT_THAT(*svg, HasSubstr("</svg>"));
}

}  // namespace
}  // namespace fxq
