// Lists, dicts, objects and attributes that code changes where only the run knows how: the change
// is seen by all that follows.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "script_source.h"

namespace fxq {
namespace {

using ::testing::HasSubstr;

void expect_equal_on_both_signs(const torch::jit::Module& module) {
  auto gm = trace(module);
  ASSERT_TRUE(gm.ok()) << gm.status();
  expect_equal_results(module, *gm, {at::ones({2, 3})});
  expect_equal_results(module, *gm, {-at::ones({2, 3})});
}

TEST(ContainerEffects, ListAppendedToInABranch) {
  expect_equal_on_both_signs(script_module(R"(
def forward(self, x):
    ys = [x]
    held = ys
    if bool(x.sum() > 0):
        ys.append(x * 2.0)
        ys.append(x * 3.0)
    held.append(x * 4.0)
    return torch.cat(ys), len(ys), ys[-1]
)"));
}

TEST(ContainerEffects, ListsOfALoopOverAList) {
  const auto module = script_module(R"(
def forward(self, xs: List[Tensor]):
    sizes: List[Tuple[int, int]] = []
    out = [x for x in xs]
    for i in range(len(out)):
        out[i] = out[i] * 2.0
        sizes.append((out[i].size(0), out[i].size(1)))
    first = sizes[0]
    return torch.cat(out), first[0], sizes
)");
  auto gm = trace(module);
  ASSERT_TRUE(gm.ok()) << gm.status();
  const c10::List<at::Tensor> two({at::ones({2, 3}), at::ones({4, 3})});
  expect_equal_results(module, *gm, {two});
  const c10::List<at::Tensor> three({at::ones({1, 3}), at::ones({4, 3}), at::ones({5, 3})});
  expect_equal_results(module, *gm, {three});
}

TEST(ContainerEffects, AnExampleListIsTakenApart) {
  const auto module = script_module(R"(
def forward(self, xs: List[Tensor]):
    total = self.c.sum()
    for x in xs:
        total = total + x.sum()
    return total
)");
  TraceOptions options;
  const c10::List<at::Tensor> two({at::ones({2, 3}), at::ones({4, 3})});
  options.example_inputs = {two};
  auto gm = trace(module, options);
  ASSERT_TRUE(gm.ok()) << gm.status();
  EXPECT_TRUE(gm->module_paths().empty());
  expect_equal_results(module, *gm, {two});
}

TEST(ContainerEffects, DictWrittenInABranch) {
  expect_equal_on_both_signs(script_module(R"(
def forward(self, x):
    d = {"a": x, "b": x + 1}
    if bool(x.sum() > 0):
        d["b"] = x * 7.0
        d["c"] = x
    d["a"] = x * 3.0
    return d["a"], d["b"], len(d)
)"));
}

TEST(ContainerEffects, ItemSetAtAnIndexFromData) {
  expect_equal_on_both_signs(script_module(R"(
def forward(self, x):
    ys = [x, x + 1, x + 2]
    ys[int(x.sum() > 0)] = x * 5.0
    last = ys.pop()
    return ys[0], ys[1], last, len(ys)
)"));
}

TEST(ContainerEffects, EmptyContainersKeepTheirTypes) {
  expect_equal_on_both_signs(script_module(R"(
def forward(self, x):
    ys: List[Tensor] = []
    ys.insert(int(x.sum() > 0), x)
    d: Dict[str, Tensor] = {}
    e: Dict[str, Tensor] = {}
    if bool(x.sum() > 0):
        e["a"] = x
    d.update(e)
    d.update({"b": x * 2.0})
    del d["b"]
    d["c"] = x
    return ys[0], len(ys), len(d), d["c"]
)"));
}

TEST(ContainerEffects, DictItemAtAKeyFromData) {
  expect_equal_on_both_signs(script_module(R"(
def forward(self, x):
    d = {0: x, 1: x + 1}
    d[int(x.sum() > 0)] = x * 5.0
    return d[0], d[1]
)"));
}

TEST(ContainerEffects, ListsInsideOthers) {
  expect_equal_on_both_signs(script_module(R"(
def forward(self, x):
    ys = [[x], [x + 1]]
    ds = [{"a": x}]
    if bool(x.sum() > 0):
        ys[0].append(x * 2.0)
        for d in ds:
            d["b"] = x
    ds[0]["a"] = x * 3.0
    return torch.cat(ys[0]), ds[0]["a"], len(ds[0])
)"));
}

TEST(ContainerEffects, ListsInsideAreReachedThroughCopiesAndParts) {
  expect_equal_on_both_signs(script_module(R"(
def forward(self, x):
    ys = [[x], [x + 1]]
    d = {"a": [x]}
    if bool(x.sum() > 0):
        part = ys[1:]
        part[0].append(x * 2.0)
        part.append([x])
        ys.copy()[0].append(x * 3.0)
        for key, items in d.items():
            items.append(x * 4.0)
    return torch.cat(ys[0]), torch.cat(ys[1]), len(ys), torch.cat(d["a"])
)"));
}

TEST(ContainerEffects, AListInsideAnotherThatIsHeldElsewhereIsRefused) {
  auto gm = trace(script_module(R"(
def forward(self, x):
    inner = [x]
    ys = [inner, [x]]
    if bool(x.sum() > 0):
        ys[0].append(x * 2.0)
    return torch.cat(inner)
)"));
  ASSERT_FALSE(gm.ok());
  EXPECT_THAT(std::string(gm.status().message()), HasSubstr("still holds"));
}

TEST(ContainerEffects, TensorsWrittenInABranchWithoutResults) {
  expect_equal_on_both_signs(script_module(R"(
def forward(self, x):
    y = x * 1.0
    z = y[0]
    if bool(x.sum() > 0):
        y.add_(1.0)
    return y, z
)"));
}

TEST(ContainerEffects, AttributesHoldResultsOfOneCall) {
  auto module = script_module("def unused(self, x):\n    return x\n");
  module.register_attribute("levels", c10::ListType::ofTensors(), c10::List<at::Tensor>());
  module.register_attribute("warned", c10::BoolType::get(), false);
  module.register_attribute("calls", c10::IntType::get(), 0);
  module.define(R"(
def forward(self, x):
    self.levels = [x]
    for i in range(2):
        self.levels.append(self.levels[-1] * 2.0)
    if not self.warned:
        self.warned = True
    return torch.cat(self.levels)
)");
  expect_equal_on_both_signs(module);
}

TEST(ContainerEffects, NumbersAreKeptBetweenCalls) {
  auto module = script_module("def unused(self, x):\n    return x\n");
  module.register_attribute("calls", c10::IntType::get(), 5);
  module.register_attribute("decay", c10::FloatType::get(), 1.0);
  module.register_attribute("first", c10::BoolType::get(), true);
  module.define(R"(
def forward(self, x):
    self.calls += 1
    self.decay = self.decay * 0.5
    y = x * self.decay + self.calls
    if self.first:
        y = y * 100.0
    self.first = False
    return y + self.calls
)");
  auto gm = trace(module);
  ASSERT_TRUE(gm.ok()) << gm.status();
  torch::jit::Module original = module.deepcopy();
  for (int call = 0; call < 3; ++call) {
    const at::Tensor x = at::ones({2}) * call;
    auto result = gm->forward({x});
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_TRUE(at::equal(result->toTensor(), original.forward({x}).toTensor())) << call;
  }
  EXPECT_EQ(module.attr("calls").toInt(), 5);
}

TEST(ContainerEffects, CachesAreFilledByEachCall) {
  auto module = script_module("def unused(self, x):\n    return x\n");
  module.register_attribute("scales", c10::OptionalType::create(c10::ListType::ofFloats()),
                            c10::IValue());
  module.define(R"(
def forward(self, x):
    if self.scales is None:
        self.scales = [float(x.size(0)), 2.0]
    scales = self.scales
    assert scales is not None
    return x * scales[0] + scales[1]
)");
  auto gm = trace(module);
  ASSERT_TRUE(gm.ok()) << gm.status();
  EXPECT_THAT(gm->guards, ::testing::Contains(HasSubstr("scales is at the start")));
  expect_equal_results(module, *gm, {at::ones({2, 3})});
}

TEST(ContainerEffects, ALoopsOwnListIsNobodyElses) {
  expect_equal_on_both_signs(script_module(R"(
def forward(self, x):
    ys = [x]
    i = 0
    while bool(x.sum() + i < 9.0):
        ys = ys + [x * i]
        ys.append(x)
        i += 1
    return torch.cat(ys)
)"));
}

}  // namespace
}  // namespace fxq
