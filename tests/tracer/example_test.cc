// What example inputs decide, and what they must not: values that data gives.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "fxq/graph/leaf_module.h"
#include "fxq/graph/op_module.h"
#include "fxq/graph/text.h"
#include "fxq/tracer/shape_prop.h"
#include "script_source.h"

namespace fxq {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TraceOptions with_example(std::vector<c10::IValue> inputs) {
  TraceOptions options;
  options.example_inputs = std::move(inputs);
  return options;
}

// torch's own scripted LSTMs: for i in range(len(x.unbind(0))). It stayed TorchScript.
TEST(Example, LoopsOverAnUnboundSequenceAreUnrolled) {
  const auto module = script_module(R"(
def forward(self, x):
    steps = x.unbind(0)
    h = torch.zeros_like(steps[0])
    for i in range(len(steps)):
        h = torch.tanh(steps[i] + h)
    return h
)");
  const at::Tensor x = at::randn({3, 2, 4});
  auto gm = trace(module, with_example({x}));
  ASSERT_TRUE(gm.ok()) << gm.status();
  EXPECT_THAT(gm->module_paths(), IsEmpty());
  expect_equal_results(module, *gm, {x});
  EXPECT_THAT(std::string(gm->forward({at::randn({4, 2, 4})}).status().message()),
              HasSubstr("is 3, as for the example inputs"));
}

// Stubs of torch.ao's vanished: what a class outside of torch.nn passed on was not looked at.
TEST(Example, QuantStubsAreKept) {
  torch::jit::Module stub("__torch__.torch.ao.quantization.stubs.QuantStub");
  stub.register_attribute("training", c10::BoolType::get(), false);
  stub.define("def forward(self, x):\n    return x\n");
  torch::jit::Module camera("__torch__.vendor.QuantStub");
  camera.register_attribute("training", c10::BoolType::get(), false);
  camera.register_attribute("scale", c10::FloatType::get(), 0.0078125);
  camera.define("def forward(self, x):\n    return x\n");
  torch::jit::Module module("Net");
  module.register_module("quant", stub);
  module.register_module("camera", camera);
  module.define(
      "def forward(self, x, y):\n    return self.quant.forward(x) + self.camera.forward(y)\n");
  auto gm = trace(module);
  ASSERT_TRUE(gm.ok()) << gm.status();
  const std::string text = print_text(*gm);
  EXPECT_THAT(text, HasSubstr("module @quant = quant_stub()"));
  EXPECT_THAT(text, HasSubstr("module @camera = quant_stub(scale=0.0078125)"));
  EXPECT_EQ(gm->graph().find_all(OpId::kQuantStub).size(), 2u);
}

// A decoder's cache: the branch on `k is not None` stayed TorchScript.
TEST(Example, OptionalInputsAreWhatTheExampleHas) {
  const auto module = script_module(R"(
def forward(self, x, k: Optional[Tensor]):
    if k is not None:
        x = torch.cat([k, x], 0)
    return x + 1
)");
  const at::Tensor x = at::randn({2, 4}), k = at::randn({3, 4});
  auto given = trace(module, with_example({x, k}));
  ASSERT_TRUE(given.ok()) << given.status();
  EXPECT_THAT(given->module_paths(), IsEmpty());
  EXPECT_THAT(given->guards, Contains("argument k is not None, as in the example inputs"));
  expect_equal_results(module, *given, {x, k});
  auto left_out = trace(module, with_example({x, c10::IValue()}));
  ASSERT_TRUE(left_out.ok()) << left_out.status();
  EXPECT_THAT(left_out->module_paths(), IsEmpty());
  EXPECT_THAT(left_out->guards, Contains("argument k is None, as in the example inputs"));
  expect_equal_results(module, *left_out, {x, c10::IValue()});
}

// chunk(4) of six columns gives three parts: "index 3 is outside of 3 elements".
TEST(Example, ChunkMayGiveFewerPartsThanWereAskedFor) {
  const auto module = script_module(R"(
def forward(self, x, y):
    return torch.cat([x] + y.chunk(4, 1), 1)
)");
  const at::Tensor x = at::randn({2, 3}), six = at::randn({2, 6});
  auto gm = trace(module, with_example({x, six}));
  ASSERT_TRUE(gm.ok()) << gm.status();
  expect_equal_results(module, *gm, {x, six});
  auto any = trace(module);
  ASSERT_TRUE(any.ok()) << any.status();
  expect_equal_results(module, *any, {x, six});
  expect_equal_results(module, *any, {x, at::randn({2, 8})});
}

// The example's answer was taken for every input.
TEST(Example, DoesNotDecideTheTypeOfWhatDataGives) {
  const auto module = script_module(R"(
def forward(self, x):
    y: Optional[Tensor] = None
    if bool(x.sum() > 0):
        y = x * 2
    z = x + 1
    if isinstance(y, Tensor):
        z = z + y
    else:
        z = z - 1
    return z
)");
  auto gm = trace(module, with_example({-at::ones({2, 3})}));
  ASSERT_TRUE(gm.ok()) << gm.status();
  expect_equal_results(module, *gm, {-at::ones({2, 3})});
  expect_equal_results(module, *gm, {at::ones({2, 3})});
}

// The second assert of one source line was lost.
TEST(Example, EveryCallAssertsForItself) {
  const auto module = script_module(R"(
def half(self, x):
    assert x.size(0) % 2 == 0, "even, please"
    return x[: x.size(0) // 2]

def forward(self, x):
    return self.half(self.half(x))
)");
  auto gm = trace(module);
  ASSERT_TRUE(gm.ok()) << gm.status();
  EXPECT_EQ(gm->graph().find_all(OpId::kGuard).size(), 2u);
  EXPECT_TRUE(gm->forward({at::ones({4})}).ok());
  EXPECT_THAT(std::string(gm->forward({at::ones({6})}).status().message()),
              HasSubstr("even, please"));
}

// atleast_3d gives the tensor itself where it has three dimensions; its schema does not say so.
TEST(Example, AnOpMayReturnItsOperand) {
  const auto module = script_module(R"(
def forward(self, x):
    y = x + 1
    if torch.atleast_3d(y) is y:
        return y * 2
    return y * 3
)");
  auto gm = trace(module);
  ASSERT_TRUE(gm.ok()) << gm.status();
  expect_equal_results(module, *gm, {at::ones({2, 3, 4})});
  expect_equal_results(module, *gm, {at::ones({3, 4})});
}

TEST(Example, PartsOfUnequalSizesHaveADtype) {
  const auto module = script_module(R"(
def forward(self, x):
    a, b = x.split([1, 3], 1)
    return a + b
)");
  const at::Tensor x = at::randn({2, 4});
  auto gm = trace(module, with_example({x}));
  ASSERT_TRUE(gm.ok()) << gm.status();
  ASSERT_TRUE(propagate_shapes(*gm, {x}).ok());
  EXPECT_THAT(print_text(*gm), HasSubstr("list(f32[2,?])"));
}

// "Internal error: NestedTensorImpl doesn't support sizes"
TEST(Example, NestedTensorsHaveNoShape) {
  const auto module = script_module(R"(
def forward(self, x, keep):
    return torch.to_padded_tensor(torch._nested_tensor_from_mask(x, keep), 0.0)
)");
  const at::Tensor x = at::randn({2, 3, 4});
  const at::Tensor keep = at::tensor({1, 1, 0, 1, 1, 1}).view({2, 3}).to(at::kBool);
  auto gm = trace(module, with_example({x, keep}));
  ASSERT_TRUE(gm.ok()) << gm.status();
  const absl::Status status = propagate_shapes(*gm, {x, keep});
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(gm->graph().output_node()->args()[0].node()->type.to_string(), "f32[2,3,4]");
}

// What torch.jit.trace makes of nn.BatchNorm2d in training: no module that fusion knew.
TEST(Example, ABatchNormThatWasTracedInTrainingIsItsModule) {
  torch::jit::Module bn("__torch__.torch.nn.modules.batchnorm.BatchNorm2d");
  bn.register_attribute("training", c10::BoolType::get(), true);
  bn.register_parameter("weight", at::rand({3}) + 0.5, false);
  bn.register_parameter("bias", at::randn({3}), false);
  bn.register_buffer("running_mean", at::randn({3}));
  bn.register_buffer("running_var", at::rand({3}) + 0.5);
  bn.register_buffer("num_batches_tracked", at::scalar_tensor(4, at::kLong));
  bn.define(R"(
def forward(self, x):
    _0 = torch.add_(self.num_batches_tracked, 1)
    return torch.batch_norm(x, self.weight, self.bias, self.running_mean, self.running_var, True, 0.1, 0.00001, True)
)");
  torch::jit::Module module("Net");
  module.register_attribute("training", c10::BoolType::get(), true);
  module.register_module("bn", bn);
  module.define("def forward(self, x):\n    return self.bn.forward(x)\n");
  TraceOptions options;
  options.mode = TraceOptions::Mode::kTrain;
  auto gm = trace(module.deepcopy(), options);
  ASSERT_TRUE(gm.ok()) << gm.status();
  EXPECT_THAT(print_text(*gm), HasSubstr("%bn = batch_norm @bn(%x)"));
  const at::Tensor x = at::randn({4, 3, 5, 5});
  EXPECT_TRUE(at::equal(gm->forward({x})->toTensor(), module.forward({x}).toTensor()));
  const torch::jit::Module trained = module.attr("bn").toModule();
  const OpModule& own = *gm->op_module(*gm->graph().find("bn"));
  EXPECT_EQ(own.tensor("num_batches_tracked").item<int64_t>(), 5);
  EXPECT_TRUE(at::equal(own.tensor("running_mean"), trained.attr("running_mean").toTensor()));
}

// dropout may return its input, and dropout_ writes data all the same: the view went without.
TEST(Example, DropoutInPlaceChangesViews) {
  auto module = script_module(R"(
def forward(self, x):
    a = x + 1
    c = a.view([-1])
    torch.dropout_(a, 0.5, self.training)
    return a, c
)");
  module.train();
  TraceOptions options;
  options.mode = TraceOptions::Mode::kTrain;
  const auto gm = trace(module, options);
  ASSERT_TRUE(gm.ok()) << gm.status();
  expect_equal_results(module, *gm, {at::randn({3, 4})});
}

// Views of a tensor that is reshaped in place keep their sizes: they were made again from it.
TEST(Example, ReshapingInPlaceLeavesViewsAsTheyAre) {
  const at::Tensor x = at::randn({3, 4});
  for (const char* code : {
           "    c = a[1]\n    a.unsqueeze_(0)\n",
           "    c = a.detach()\n    a.unsqueeze_(0)\n",
           "    c = a.t()\n    a.unsqueeze_(0)\n    a.add_(1)\n",
           "    c = a[:, 1:]\n    a.t_()\n    a.mul_(2)\n    c.add_(1)\n",
           "    c = a[0]\n    a.transpose_(0, 1)\n    a[0].fill_(7.0)\n",
           "    c = x.detach()\n    x.unsqueeze_(0)\n",
       }) {
    const auto module = script_module("def forward(self, x):\n    a = x + 1\n" + std::string(code) +
                                      "    return a, c\n");
    const auto gm = trace(module, {});
    ASSERT_TRUE(gm.ok()) << code << gm.status();
    SCOPED_TRACE(code + print_text(*gm));
    expect_equal_results(module, *gm, {x});
  }
}

}  // namespace
}  // namespace fxq
