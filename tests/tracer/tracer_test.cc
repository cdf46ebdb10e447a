// Tracer: leaves by a rule of the caller's own; arguments that are fixed; names wrapped at
// start-up.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "absl/strings/match.h"
#include "fxq/tracer/shape_prop.h"
#include "script_source.h"

namespace fxq {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

FXQ_WRAP("odd_wrapped.first");
FXQ_WRAP("odd_wrapped.second");

TEST(Wrap, NamesAreRegisteredAtNamespaceScope) {
  EXPECT_TRUE(WrapRegistry::process_wide().has("odd_wrapped.first"));
  EXPECT_TRUE(WrapRegistry::process_wide().has("odd_wrapped.second"));
}

class BlockTracer : public Tracer {
 public:
  using Tracer::Tracer;
  bool is_leaf_module(const std::string& type_name, const std::string& path) const override {
    return absl::EndsWith(type_name, ".BasicBlock") ? path != "layer2.1"
                                                    : Tracer::is_leaf_module(type_name, path);
  }
};

class FlatTracer : public Tracer {
 public:
  using Tracer::Tracer;
  bool is_leaf_module(const std::string&, const std::string&) const override { return false; }
};

class ResnetTracerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto module = load_script_module(FXQ_MODELS_DIR "/resnet18.script.pt");
    if (!module.ok()) GTEST_SKIP() << "no fixture: run ./dev setup";
    module_ = *module;
    module_.eval();
  }
  torch::jit::Module module_;
};

TEST_F(ResnetTracerTest, AClassStaysWholeWhereTheRuleSaysSo) {
  const auto gm = BlockTracer().trace(module_);
  ASSERT_TRUE(gm.ok()) << gm.status();
  EXPECT_THAT(gm->module_paths(), Contains("layer1.0"));
  EXPECT_THAT(gm->module_paths(), Not(Contains("layer1.0.conv1")));
  EXPECT_THAT(gm->module_paths(), Not(Contains("layer2.1")));
  EXPECT_THAT(gm->module_paths(), Contains("layer2.1.conv1"));
  expect_equal_results(module_, *gm, {at::randn({1, 3, 64, 64})});
}

TEST_F(ResnetTracerTest, WithoutLeavesTheCodeOfLayersIsReadInPlace) {
  const auto gm = FlatTracer().trace(module_);
  ASSERT_TRUE(gm.ok()) << gm.status();
  EXPECT_TRUE(gm->module_paths().empty());
  EXPECT_THAT(gm->tensor_paths(), Contains("layer1.0.conv1.weight"));
  expect_equal_results(module_, *gm, {at::randn({1, 3, 64, 64})});
}

constexpr const char* kOptions = R"(
def forward(self, x, factor: float, turn: bool, rest: Optional[int] = None):
    if turn:
        x = x.flip(1)
    if rest is not None:
        x = x[:, :rest]
    return x * factor
)";

TEST(Tracer, ConcreteArgumentsAreNoInputs) {
  const auto module = script_module(kOptions);
  TraceOptions options;
  options.concrete_args = {{"turn", true}, {"rest", int64_t{2}}};
  options.example_inputs = {at::ones({2, 3}), 0.5};
  const auto gm = trace(module, options);
  ASSERT_TRUE(gm.ok()) << gm.status();
  EXPECT_EQ(gm->graph().placeholders().size(), 2U);
  const at::Tensor x = at::randn({2, 3});
  const auto y = gm->forward({x, 3.0});
  ASSERT_TRUE(y.ok()) << y.status();
  EXPECT_TRUE(y->toTensor().equal(x.flip({1}).slice(1, 0, 2) * 3.0));
}

TEST(Tracer, ConcreteArgumentsAreChecked) {
  TraceOptions options;
  options.concrete_args = {{"turned", true}, {"factor", at::ones({1})}, {"rest", 0.5}};
  const auto gm = trace(script_module(kOptions), options);
  ASSERT_EQ(gm.status().code(), absl::StatusCode::kInvalidArgument);
  const std::string text(gm.status().message());
  EXPECT_THAT(text, HasSubstr("'turned'; did you mean \"turn\""));
  EXPECT_THAT(text, HasSubstr("'factor' is a tensor"));
  EXPECT_THAT(text, HasSubstr("'rest' is Optional[int], not float"));
}

TEST(SymbolicShapes, TheBatchIsASymbolWhereverItGoes) {
  const torch::jit::Module module = script_module(R"(
def forward(self, x):
    a = torch.conv2d(x, self.w, self.b)
    f = a.reshape([-1, 4])
    return a, f, a.sum(), a[0], [torch.relu(f), x.mean([0])]
)");
  auto gm = trace(module);
  ASSERT_TRUE(gm.ok()) << gm.status();
  ASSERT_TRUE(propagate_symbolic_shapes(*gm, {at::randn({2, 3, 6, 6})}).ok());
  std::vector<std::string> types;
  for (const Node* node : gm->graph().output_node()->inputs()) {
    types.push_back(node->type.to_string());
  }
  EXPECT_EQ(types, (std::vector<std::string>{"f32[N,4,4,4]", "f32[N_times_16,4]", "f32[]",
                                             "f32[4,4,4]", "f32[N_times_16,4]", "f32[3,6,6]"}));
  for (int64_t batch : {1, 3, 5}) {
    expect_equal_results(module, *gm, {at::randn({batch, 3, 6, 6})});
  }
}

TEST(SymbolicShapes, AFixedBatchIsSaidAndItsTypesAreKept) {
  const torch::jit::Module module = script_module(R"(
def forward(self, x):
    return x.reshape([6, -1]).matmul(torch.ones([4, 2]))
)");
  auto gm = trace(module);
  ASSERT_TRUE(gm.ok()) << gm.status();
  const absl::Status status = propagate_symbolic_shapes(*gm, {at::randn({2, 12})});
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(std::string(status.message()).find("with 2 samples the graph runs, with 3 it does not"),
            0u)
      << status;
  EXPECT_EQ(gm->graph().output_node()->inputs()[0]->type.to_string(), "f32[6,2]");
}

}  // namespace
}  // namespace fxq
