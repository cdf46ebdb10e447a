// Branches and loops that depend on data, guards, wrapped code, examples, and what errors say.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "fxq/graph/leaf_module.h"
#include "fxq/graph/text.h"
#include "fxq/graph/to_torchscript.h"
#include "fxq/tracer/shape_prop.h"
#include "script_source.h"

namespace fxq {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Control, BranchOnDataIsOneNode) {
  const auto module = script_module(R"(
def forward(self, x):
    if bool(x.mean() > 0):
        y = x * self.c.sum()
    else:
        y = x - 1.0
    return y.relu()
)");
  auto gm = trace(module);
  ASSERT_TRUE(gm.ok()) << gm.status();
  EXPECT_THAT(gm->module_paths(), ElementsAre("opaque_if"));
  EXPECT_THAT(gm->tensor_paths(), ElementsAre("c"));
  expect_equal_results(module, *gm, {at::ones({2, 3})});
  expect_equal_results(module, *gm, {-at::ones({2, 3})});
}

TEST(Control, LoopOnDataGoesOnWhereUnrollingStopped) {
  const auto module = script_module(R"(
def forward(self, x):
    i = 0
    go = True
    while go:
        x = x * 0.5 + i
        i += 1
        go = bool(x.max() > 4.0) and i < 6
    return x
)");
  auto gm = trace(module);
  ASSERT_TRUE(gm.ok()) << gm.status();
  for (double scale : {1.0, 30.0, 300.0}) {
    expect_equal_results(module, *gm, {at::full({2, 3}, scale)});
  }
}

TEST(Control, LoopOverASizeWithoutAndWithAnExample) {
  const auto module = script_module(R"(
def forward(self, x):
    y = torch.zeros_like(x[0])
    for i in range(x.size(0)):
        y = y + x[i] * i
    return y
)");
  auto any = trace(module);
  ASSERT_TRUE(any.ok()) << any.status();
  expect_equal_results(module, *any, {at::randn({3, 4})});
  expect_equal_results(module, *any, {at::randn({5, 4})});
  TraceOptions options;
  options.example_inputs = {at::randn({3, 4})};
  auto three = trace(module, options);
  ASSERT_TRUE(three.ok()) << three.status();
  EXPECT_TRUE(three->module_paths().empty());
  EXPECT_FALSE(three->graph().find_all(OpId::kGuard).empty());
  EXPECT_EQ(three->graph().output_node()->args()[0].node()->type.to_string(), "f32[4]");
  expect_equal_results(module, *three, {at::randn({3, 4})});
  const absl::Status other = three->forward({at::randn({5, 4})}).status();
  EXPECT_THAT(std::string(other.message()), HasSubstr("is 3, as for the example inputs"));
}

TEST(Control, BranchesThatOnlyRaiseAreGuards) {
  const auto module = script_module(R"(
def forward(self, x):
    assert x.dim() == 2, "rows and columns, please"
    assert x.size(0) > 0, "empty"
    return x + 1
)");
  auto gm = trace(module);
  ASSERT_TRUE(gm.ok()) << gm.status();
  EXPECT_THAT(gm->guards, ElementsAre(HasSubstr("rows and columns, please")));
  ASSERT_EQ(gm->graph().find_all(OpId::kGuard).size(), 1u);
  EXPECT_TRUE(gm->forward({at::ones({1, 2})}).ok());
  EXPECT_THAT(std::string(gm->forward({at::ones({0, 2})}).status().message()), HasSubstr("empty"));
}

TEST(Control, GuardsStayInTheTorchScriptThatIsWritten) {
  const auto module = script_module(R"(
def forward(self, x):
    assert x.size(1) == 3, "three channels, please"
    return torch.relu(x)
)");
  auto gm = trace(module);
  ASSERT_TRUE(gm.ok()) << gm.status();
  auto written = to_torchscript(*gm);
  ASSERT_TRUE(written.ok()) << written.status();
  EXPECT_TRUE(at::equal(written->forward({at::ones({1, 3})}).toTensor(), at::ones({1, 3})));
  EXPECT_THROW(written->forward({at::ones({1, 4})}), std::exception);
  auto again = trace(*written);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->graph().find_all(OpId::kGuard).size(), 1u);
}

// What a trace of an LSTM cell is made of.
TEST(Control, PartsOfAnUnsafeChunkAreTensorsApart) {
  const auto module = script_module(R"(
def forward(self, x):
    a, b = torch.unsafe_chunk(x * 2.0, 2, 1)
    a.sigmoid_()
    b.tanh_()
    return a * b
)");
  EXPECT_THAT(traced_text(module), AllOf(HasSubstr("chunk("), Not(HasSubstr("sigmoid_"))));
  auto gm = trace(module);
  ASSERT_TRUE(gm.ok()) << gm.status();
  expect_equal_results(module, *gm, {at::randn({3, 4})});
}

TEST(Control, AsManyPartsAsWereUnpacked) {
  auto gm = trace(script_module(R"(
def forward(self, x):
    h, w = x.unbind(0)
    return h - w
)"));
  ASSERT_TRUE(gm.ok()) << gm.status();
  EXPECT_TRUE(gm->forward({at::ones({2, 3})}).ok());
  EXPECT_THAT(std::string(gm->forward({at::ones({3, 3})}).status().message()),
              HasSubstr("gives 2 values"));
}

// A number that the caller gives decides: any other one is refused, not computed wrongly.
TEST(Control, NumbersThatTheExampleHadAreChecked) {
  const auto module = script_module(R"(
def forward(self, x, n: int, flag: bool):
    if flag:
        x = x + 1.0
    for i in range(n):
        x = x * 2.0
    return x
)");
  TraceOptions options;
  const at::Tensor x = at::randn({2, 3});
  options.example_inputs = {x, 2, true};
  auto gm = trace(module, options);
  ASSERT_TRUE(gm.ok()) << gm.status();
  expect_equal_results(module, *gm, {x, 2, true});
  EXPECT_THAT(gm->forward({x, 3, true}).status().message(),
              HasSubstr("%n is 2, as for the example"));
  EXPECT_THAT(gm->forward({x, 2, false}).status().message(), HasSubstr("%flag is true"));
  auto any = trace(module);
  ASSERT_TRUE(any.ok()) << any.status();
  expect_equal_results(module, *any, {x, 3, false});
}

// It was taken for "is no int", since a Union is none.
TEST(Control, TheTypeOfAUnionIsAskedForWhileTracing) {
  const auto module = script_module(R"(
def forward(self, x, k: Union[int, float]):
    if isinstance(k, int):
        return x + k
    return x * k
)");
  const at::Tensor x = at::randn({2, 3});
  EXPECT_THAT(trace(module).status().message(),
              HasSubstr("code asks for the type of a value that is Union[float, int]"));
  for (const c10::IValue& k : {c10::IValue(3), c10::IValue(0.5)}) {
    TraceOptions options;
    options.example_inputs = {x, k};
    auto gm = trace(module, options);
    ASSERT_TRUE(gm.ok()) << gm.status();
    expect_equal_results(module, *gm, {x, k});
  }
}

TEST(Control, TwoInputsAreTwoTensorsAndOneIsItself) {
  const auto module = script_module(R"(
def forward(self, x, y):
    z = x.transpose(0, 1)
    if x is y or z is x:
        return x + 1.0
    if x is x and z is not y:
        return x + y
    return z
)");
  const auto gm = trace(module);
  ASSERT_TRUE(gm.ok()) << gm.status();
  EXPECT_THAT(gm->guards, ElementsAre(HasSubstr("%x and %y are two tensors")));
  expect_equal_results(module, *gm, {at::randn({2, 2}), at::randn({2, 2})});
}

TEST(Control, ModulesBehindAnInterface) {
  auto module = load_script_module(FXQ_MODELS_DIR "/odd_chosen.script.pt");
  if (!module.ok()) GTEST_SKIP() << "no fixture: run ./dev setup";
  module->eval();
  const auto gm = trace(*module);
  ASSERT_TRUE(gm.ok()) << gm.status();
  EXPECT_EQ(gm->graph().find_all(OpId::kConv2d).size(), 2U);  // the third is in the branch
  expect_equal_results(*module, *gm, {at::randn({2, 3, 8, 8})});
  expect_equal_results(*module, *gm, {at::full({2, 3, 8, 8}, 9.0)});
  expect_equal_results(*module, *gm, {at::full({2, 3, 8, 8}, -9.0)});
}

// The code of torch's attention asks whether its arguments are one tensor.
TEST(Control, AttentionIsReadInPlace) {
  auto module = load_script_module(FXQ_MODELS_DIR "/odd_heads.script.pt");
  if (!module.ok()) GTEST_SKIP() << "no fixture: run ./dev setup";
  module->eval();
  TraceOptions options;
  options.example_inputs = {at::randn({2, 6, 16})};
  const auto gm = trace(*module, options);
  ASSERT_TRUE(gm.ok()) << gm.status();
  EXPECT_EQ(gm->graph().find_all(OpId::kMultiHeadAttention).size(), 1U);
  for (const Node* node : gm->graph().nodes()) {
    EXPECT_TRUE(!node->is_call() || node->schema()) << print_text(*gm);
  }
  const at::NoGradGuard no_grad;
  expect_equal_results(*module, *gm, {at::randn({2, 6, 16})});
}

TEST(Control, TheExampleIsNotChanged) {
  const auto module = script_module(R"(
def forward(self, x):
    self.count.add_(1)
    x.mul_(2.0)
    if x.size(0) > 1:
        x = x + 1
    return x
)");
  TraceOptions options;
  const at::Tensor x = at::ones({2, 2});
  options.example_inputs = {x};
  auto gm = trace(module, options);
  ASSERT_TRUE(gm.ok()) << gm.status();
  EXPECT_TRUE(at::equal(x, at::ones({2, 2})));
  EXPECT_EQ(module.attr("count").toTensor().item<int64_t>(), 0);
}

TEST(Control, TrainingModeIsTheModulesUnlessSaid) {
  auto module = script_module(R"(
def forward(self, x):
    if self.training:
        x = x * 2.0
    return torch.dropout(x, 0.5, self.training)
)");
  EXPECT_THAT(traced_text(module), Not(HasSubstr("mul")));
  TraceOptions options;
  options.mode = TraceOptions::Mode::kTrain;
  auto gm = trace(module, options);
  ASSERT_TRUE(gm.ok()) << gm.status();
  EXPECT_TRUE(gm->is_training());
  EXPECT_TRUE(gm->graph().find("dropout")->follows_mode);
  EXPECT_NE(gm->graph().find("mul"), nullptr);
}

TEST(Control, TrainingEqualsTheModulesForward) {
  const std::string path = std::string(FXQ_MODELS_DIR) + "/digits.script.pt";
  auto loaded = load_script_module(path);
  if (!loaded.ok()) GTEST_SKIP() << "no fixture models: " << loaded.status();
  loaded->train();
  torch::jit::Module module = loaded->deepcopy();
  auto gm = trace(*loaded);
  ASSERT_TRUE(gm.ok()) << gm.status();
  EXPECT_TRUE(gm->is_training());
  const at::Tensor x = at::randn({4, 1, 8, 8});
  auto result = gm->forward({x});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(at::equal(result->toTensor(), module.forward({x}).toTensor()));
  std::map<std::string, at::Tensor> buffers;
  for (const auto& entry : module.named_buffers()) buffers[entry.name] = entry.value;
  EXPECT_FALSE(buffers.empty());
  for (const auto& [name, tensor] : gm->named_buffers()) {
    EXPECT_TRUE(at::equal(tensor, buffers.at(name))) << name;
  }
}

TEST(Wrap, KeepsAMethodWhole) {
  const auto module = script_module(R"(
def refine(self, x):
    return x * self.c.sum() + 1

def forward(self, x):
    return self.refine(x).relu()
)");
  WrapRegistry registry;
  registry.wrap("Net.refine");
  TraceOptions options;
  options.wraps = &registry;
  auto gm = trace(module, options);
  ASSERT_TRUE(gm.ok()) << gm.status();
  EXPECT_EQ(gm->module_paths().size(), 1u);
  expect_equal_results(module, *gm, {at::randn({2, 3})});
}

TEST(Wrap, ABuiltinIsCalledEvenWhereItsResultIsKnown) {
  const auto module = script_module(R"(
def forward(self, x):
    names = ["a", "b"]
    return x * len(names)
)");
  EXPECT_THAT(traced_text(module), HasSubstr("mul_scalar(%x, 2)"));
  WrapRegistry registry;
  registry.wrap("len");
  TraceOptions options;
  options.wraps = &registry;
  auto gm = trace(module, options);
  ASSERT_TRUE(gm.ok()) << gm.status();
  EXPECT_THAT(traced_text(module, options), HasSubstr("%len = len_list"));
  expect_equal_results(module, *gm, {at::randn({2, 3})});
}

TEST(Errors, AllPlacesAtOnceWithAdvice) {
  auto module = script_module(R"(
def forward(self, x):
    was = self.training
    self.training = True
    assert was, "never works"
    assert was, "nor does this"
    return x
)");
  auto gm = trace(module);
  ASSERT_FALSE(gm.ok());
  EXPECT_EQ(gm.status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(gm.status().message()), HasSubstr("nor does this"));
  EXPECT_THAT(std::string(gm.status().message()), HasSubstr("never works"));
  EXPECT_THAT(std::string(gm.status().message()), HasSubstr("wrap"));
}

TEST(Errors, UnknownMethodAndWrongExamples) {
  const auto module = script_module("def forward(self, x):\n    return x\n");
  TraceOptions options;
  options.method = "forwrd";
  EXPECT_THAT(std::string(trace(module, options).status().message()), HasSubstr("forward"));
  options.method = "forward";
  options.example_inputs = {at::ones({1}), at::ones({1})};
  EXPECT_EQ(trace(module, options).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Errors, ShapesThatDoNotFitNameTheNode) {
  const auto module = script_module("def forward(self, x):\n    return torch.mm(x, self.m)\n");
  auto gm = trace(module);
  ASSERT_TRUE(gm.ok()) << gm.status();
  const absl::Status status = propagate_shapes(*gm, {at::ones({2, 2})});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("%matmul"));
}

}  // namespace
}  // namespace fxq
