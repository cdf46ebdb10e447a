// parse_text and print_text are inverses, for every construct of the grammar.
#include "fxq/graph/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fxq/graph/leaf_module.h"
#include "fxq/graph/verifier.h"
#include "parsed.h"

namespace fxq {
namespace {

using graph_test::parsed;
using ::testing::HasSubstr;

void expect_round_trip(const std::string& text, const PrintOptions& options = {}) {
  EXPECT_EQ(print_text(parsed(text), options), text);
}

TEST(TextTest, DesignSample) {
  expect_round_trip(
      R"(module @layer1.0.conv1 = conv2d(weight: f32[64,3,7,7], bias: none, stride=[2,2], padding=[3,3])
graph (%x: f32[N,3,224,224]) {
  %conv1 = conv2d @layer1.0.conv1(%x) : f32[N,64,112,112]
  %relu = relu(%conv1) : i8[N,64,112,112] q(0.0235)
  %mp = max_dim(%relu, 1, false) : (i8[N,112,112] q(0.0235), i64[N,112,112])
  return %mp
}
)");
}

TEST(TextTest, EveryArgument) {
  expect_round_trip(R"(buffer @mask : bool[4]
parameter @pos_embed : f32[1,197,768]
graph (%x: f32[...], %y: tensor, %z "the input" = none) {
  %w = get_attr @pos_embed
  %a = add(%x, %w, alpha=2)
  %s = aten::special_i0e(%a)
  %o = aten::add.out(%x, %y, out=%s)
  %c = cat([%x, %y], -1)
  %g = getitem(%c, slice(0, none, 2))
  %m = method split(%g, 2)
  %z1 = zeros([2,3], dtype=f32, device=device("cpu"))
  %d = aten::div.Tensor_mode(%x, %y, rounding_mode="floor")
  %f = clamp(%x, -0.5, 1e-05)
  %h = clamp(%x, -inf, inf)
  return {"out": %f, "all": [%h, (%d,), (), ("q\"\\\n\x01", true, none)], 3: (a=%z1, b=%m)}
}
)");
}

TEST(TextTest, EveryType) {
  for (const char* text : {"?",
                           "tensor",
                           "int",
                           "float",
                           "bool",
                           "str",
                           "none",
                           "dtype",
                           "device",
                           "f32[...]",
                           "f64[]",
                           "bool[3]",
                           "i8[N,?,7] q(0.1, -3)",
                           "u8[1] q(1e-07)",
                           "list(tensor)",
                           "dict(f32[N])",
                           "optional(list(int))",
                           "()",
                           "(int,)",
                           "(f32[2], (i64[...], str))"}) {
    auto type = parse_type(text);
    ASSERT_TRUE(type.ok()) << text << ": " << type.status();
    EXPECT_EQ(type->to_string(), text);
  }
}

TEST(TextTest, HeaderAndEpilogue) {
  expect_round_trip(R"txt(setting march = "CPU"
setting "odd key" = "a \"b\""
guard "x.dim() == 4 (net.py:7)"
training
module @bn = batch_norm(weight: f32[4], bias: f32[4], running_mean: f32[4], running_var: f32[4], momentum=0.1, eps=1e-05, cudnn_enabled=true)
module @i0 = aten::special_i0e()
module @"odd path/1" = conv2d(weight: f32[4,3,1,1], bias: f32[4])
graph (%x, %y) {
  %c = conv2d @"odd path/1"(%x, add=%y, activation="relu")
  %b = batch_norm @bn(%c, activation="relu6")
  %i = aten::special_i0e @i0(%b)
  return (%b, %i)
}
)txt");
}

TEST(TextTest, Annotations) {
  PrintOptions annotated;
  annotated.annotations = true;
  const std::string text =
      R"(module @a.fc = linear(weight: f32[2,3], bias: f32[2]) {class="torch.nn.modules.linear.Linear", frozen=["bias"]}
module @a.prelu = prelu(weight: f32[1]) {train}
module @q = linear(weight: f32[2,3], bias: none, weight_scale: f32[2]) {trains=["weight_scale"]}
graph (%x: f32[N,3] {source="net.py:1"}) {
  %fc = linear @a.fc(%x) : f32[N,2] {source="net.py:41", origins=["fc", "relu"], device="CPU"}
  %p = prelu @a.prelu(%fc) {owner="a", class="Net"}
  %d = dropout(%p, 0.5, false) {owner="a", class="Net", mode}
  %u = linear @q(%x) {owner=""}
  return %d {source="net.py:43"}
}
)";
  expect_round_trip(text, annotated);
  EXPECT_THAT(print_text(parsed(text)), ::testing::Not(HasSubstr("net.py")));
}

TEST(TextTest, TypesCanBeLeftOut) {
  PrintOptions untyped;
  untyped.types = false;
  EXPECT_EQ(print_text(parsed("graph (%x: f32[2]) { %r = relu(%x) : f32[2] return %r }"), untyped),
            "graph (%x) {\n  %r = relu(%x)\n  return %r\n}\n");
}

TEST(TextTest, CommentsAndLayoutAreFree) {
  EXPECT_EQ(print_text(parsed("# a net\ngraph(%x){ # in\n%r=relu(%x)return %r}# end")),
            "graph (%x) {\n  %r = relu(%x)\n  return %r\n}\n");
}

TEST(TextTest, StateIsSeededAndTied) {
  const GraphModule gm = parsed(R"(
    module @a = linear(weight: f32[8,8], bias: f32[8])
    module @b = linear(weight: f32[8,8], bias: f32[8])
    buffer @i : i8[1000]
    buffer @v : f32[3]
    buffer @r : f32[2]
    state * = normal(7)
    state @b.weight = @a.weight
    state @b.bias = full(0.5)
    state @i = uniform(1, -300, 300)
    state @v = values([1, 2.5, true])
    state @r = arange(1, 0.5)
    graph (%x) { %a = linear @a(%x) %b = linear @b(%a) return %b })");
  const at::Tensor weight = gm.module("a")->tensors()[0].second;
  EXPECT_TRUE(weight.requires_grad());
  EXPECT_EQ(weight.data_ptr(), gm.module("b")->tensors()[0].second.data_ptr());
  EXPECT_EQ(gm.parameters().size(), 3);
  EXPECT_NEAR(weight.mean().item<double>(), 0, 0.5);
  EXPECT_NEAR(weight.std().item<double>(), 1, 0.3);
  EXPECT_EQ(gm.module("b")->tensors()[1].second[7].item<float>(), 0.5F);
  EXPECT_EQ(gm.tensor("i").min().item<int>(), -128);
  EXPECT_EQ(gm.tensor("i").max().item<int>(), 127);
  EXPECT_EQ(gm.tensor("v")[1].item<float>(), 2.5F);
  EXPECT_EQ(gm.tensor("r")[1].item<float>(), 1.5F);
  EXPECT_THAT(print_text(gm), HasSubstr("state @b.weight = @a.weight\ngraph"));
}

TEST(TextTest, SeedsGiveTheSameNumbersEverywhere) {
  const GraphModule gm = parsed(
      "buffer @n : f64[3] buffer @u : f64[2] state @n = normal(7, 2) state @u = uniform(7)"
      "graph () { %n = get_attr @n %u = get_attr @u return (%n, %u) }");
  EXPECT_EQ(gm.tensor("n")[0].item<double>(), -1.2939453125);
  EXPECT_EQ(gm.tensor("u")[0].item<double>(), 0.07108709916081601);
}

TEST(TextTest, ParseOptionsFillTensorsAndShareThem) {
  ParseOptions options;
  options.tensors["w"] = at::ones({2});
  const GraphModule gm =
      parsed("buffer @w : f32[2] graph () { %w = get_attr @w return %w }", options);
  EXPECT_EQ(gm.tensor("w").data_ptr(), options.tensors["w"].data_ptr());
  const auto wrong =
      parse_text("buffer @w : f32[3] graph () { %w = get_attr @w return %w }", options);
  EXPECT_THAT(std::string(wrong.status().message()),
              HasSubstr("@w is declared as f32[3] but its data is f32[2]"));
}

TEST(TextTest, TabularForPeople) {
  EXPECT_EQ(print_tabular(parsed("graph (%x) { %r = add(%x, %x, alpha=2) return %r }")),
            "opcode         name    target            args      kwargs\n"
            "placeholder    x       x                 ()        {}\n"
            "call_function  r       aten::add.Tensor  (%x, %x)  {alpha=2}\n"
            "output         output  output            (%r,)     {}\n");
}

}  // namespace
}  // namespace fxq
