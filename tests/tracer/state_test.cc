// What one call leaves for the next: tensors of any size, lists, optionals, dicts, strings,
// numbers, set in straight code and in code that data decides. The graph, its copy, and the
// TorchScript that it becomes follow the module call by call; the caller's module never changes.
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fxq/graph/to_torchscript.h"
#include "script_source.h"

namespace fxq {
namespace {

using ::testing::HasSubstr;

struct Attribute {
  const char* name;
  c10::TypePtr type;
  c10::IValue value;
};

torch::jit::Module stateful(const std::vector<Attribute>& attributes, const std::string& forward) {
  auto module = script_module("def unused(self, x):\n    return x\n");
  for (const Attribute& each : attributes) {
    if (each.type->kind() == c10::TypeKind::TensorType) {
      module.register_buffer(each.name, each.value.toTensor());
    } else {
      module.register_attribute(each.name, each.type, each.value);
    }
  }
  module.define(forward);
  return module;
}

std::vector<at::Tensor> calls() {
  const at::Tensor mixed = at::arange(6, at::kFloat).view({2, 3}) - 2.5;
  return {at::ones({2, 3}), -at::ones({2, 3}), mixed, at::ones({2, 3}) * 3};
}

void expect_same(const c10::IValue& expected, const c10::IValue& actual, const std::string& where) {
  const auto left = tensors_in(expected), right = tensors_in(actual);
  ASSERT_EQ(left.size(), right.size()) << where;
  for (size_t i = 0; i < left.size(); ++i) {
    EXPECT_TRUE(at::equal(left[i], right[i])) << where << "\n" << left[i] << "\n" << right[i];
  }
}

void expect_state_is_kept(const torch::jit::Module& module) {
  const auto gm = trace(module);
  ASSERT_TRUE(gm.ok()) << gm.status();
  const GraphModule copy = gm->copy();
  auto written = to_torchscript(*gm);
  ASSERT_TRUE(written.ok()) << written.status();
  torch::jit::Module original = module.deepcopy();
  std::vector<c10::IValue> expected;
  for (const at::Tensor& x : calls()) expected.push_back(original.forward({x.clone()}).deepcopy());
  for (size_t i = 0; i < expected.size(); ++i) {
    const std::string where = "call " + std::to_string(i);
    const auto result = gm->forward({calls()[i]});
    ASSERT_TRUE(result.ok()) << result.status();
    expect_same(expected[i], *result, where);
    expect_same(expected[i], written->forward({calls()[i]}), where + " of the TorchScript");
  }
  const auto first = copy.forward({calls()[0]});
  ASSERT_TRUE(first.ok()) << first.status();
  expect_same(expected[0], *first, "the copy has a state of its own");
  torch::jit::Module caller = module;
  expect_same(expected[0], caller.deepcopy().forward({calls()[0]}), "the caller's module");
}

const c10::TypePtr kTensor = c10::TensorType::get();
const c10::TypePtr kMaybe = c10::OptionalType::create(c10::TensorType::get());

TEST(State, ATensorThatIsReplaced) {
  expect_state_is_kept(stateful({{"h", kTensor, at::zeros({2, 3})}}, R"(
def forward(self, x):
    old = self.h
    self.h = torch.tanh(old + x)
    return self.h + old, old
)"));
}

TEST(State, DeltasOfWhatCameBefore) {
  expect_state_is_kept(stateful({{"last", kTensor, at::zeros({2, 3})}}, R"(
def forward(self, x):
    last = self.last
    self.last = x
    return x - last
)"));
}

TEST(State, ATensorThatChangesItsDtype) {
  expect_state_is_kept(stateful({{"n", kTensor, at::zeros({}, at::kLong)}}, R"(
def forward(self, x):
    self.n = self.n + x.sum() * 0.25
    return self.n * 2
)"));
}

TEST(State, TwoTensorsThatChangePlaces) {
  expect_state_is_kept(
      stateful({{"p", kTensor, at::zeros({2, 3})}, {"q", kTensor, at::ones({2, 3})}},
               R"(
def forward(self, x):
    p = self.p
    q = self.q
    self.q = p + x
    self.p = q
    return p * 1.0, q
)"));
}

TEST(State, ATensorThatIsWrittenAndReplaced) {
  expect_state_is_kept(stateful({{"h", kTensor, at::zeros({2, 3})}}, R"(
def forward(self, x):
    self.h = self.h.clone()
    self.h.add_(x)
    y = self.h
    self.h = y * 2
    return y + 0, y
)"));
}

TEST(State, ATensorThatGrows) {
  expect_state_is_kept(stateful({{"seen", kTensor, at::zeros({0, 3})}}, R"(
def forward(self, x):
    self.seen = torch.cat([self.seen, x])[-5:]
    return self.seen * 1.0
)"));
}

TEST(State, AnOptionalThatTheFirstCallFills) {
  expect_state_is_kept(stateful({{"h", kMaybe, c10::IValue()}}, R"(
def forward(self, x):
    h = self.h
    if h is None:
        h = torch.zeros_like(x)
    h = h * 0.5 + x
    self.h = h
    return torch.relu(h)
)"));
}

TEST(State, AnOptionalThatIsSetInTheBranch) {
  expect_state_is_kept(stateful({{"h", kMaybe, c10::IValue()}}, R"(
def forward(self, x):
    h = self.h
    if h is None:
        self.h = x
    else:
        self.h = h + x
    new = self.h
    assert new is not None
    return new * 2.0
)"));
}

TEST(State, ListsOfTensors) {
  expect_state_is_kept(stateful({{"layers", c10::ListType::ofTensors(),
                                  c10::List<at::Tensor>({at::zeros({3}), at::ones({3})})}},
                                R"(
def forward(self, x):
    new = [torch.zeros(0)]
    new.clear()
    for h in self.layers:
        x = torch.tanh(x + h)
        new.append(x[-1])
    self.layers = new
    return x
)"));
}

// Made of sizes, not of data, and yet another one in each call.
TEST(State, PositionsInAList) {
  expect_state_is_kept(stateful({{"seen", c10::ListType::ofInts(), c10::List<int64_t>({0, 7})}}, R"(
def forward(self, x):
    at = self.seen[0]
    self.seen = [at + x.size(0), self.seen[1]]
    return x + at
)"));
}

TEST(State, ListsThatGrowInPlace) {
  expect_state_is_kept(stateful({{"seen", c10::ListType::ofTensors(), c10::List<at::Tensor>()}}, R"(
def forward(self, x):
    self.seen.append(x)
    if bool(x.sum() > 0):
        self.seen.append(x * 2.0)
    return torch.cat(self.seen)
)"));
}

TEST(State, DictsAndStrings) {
  c10::Dict<std::string, at::Tensor> empty;
  expect_state_is_kept(
      stateful({{"cache", c10::DictType::create(c10::StringType::get(), kTensor), empty},
                {"last", c10::StringType::get(), "none"}},
               R"(
def forward(self, x):
    key = "b" if bool(x.sum() > 0) else "a"
    y = x
    if key in self.cache:
        y = y + self.cache[key]
    if self.last == key:
        y = y * 10.0
    self.cache[key] = x
    self.last = key
    return y
)"));
}

TEST(State, NumbersAndTensorsSetWhereDataDecides) {
  expect_state_is_kept(
      stateful({{"positive", c10::IntType::get(), 0}, {"peak", kTensor, at::zeros({})}}, R"(
def forward(self, x):
    i = 0
    while i < x.size(0):
        if bool(x[i].sum() > 0):
            self.positive += 1
            self.peak = torch.maximum(self.peak, x[i].max())
        i += 1
    return x * self.positive + self.peak
)"));
}

TEST(State, OfASubmodule) {
  auto child = stateful({{"h", kMaybe, c10::IValue()}}, R"(
def forward(self, x):
    h = self.h
    y = x if h is None else x + h
    self.h = y
    return y
)");
  auto module = script_module("def unused(self, x):\n    return x\n");
  module.register_module("cell", child);
  module.define(R"(
def forward(self, x):
    return self.cell.forward(self.cell.forward(x) * 0.5)
)");
  expect_state_is_kept(module);
}

// Anchors, position tables: every call would make the same again.
TEST(State, CachesOfWhatIsNoDataNeedNoState) {
  const auto module = stateful({{"table", c10::ListType::ofTensors(), c10::List<at::Tensor>()}}, R"(
def forward(self, x):
    if len(self.table) == 0:
        self.table = [torch.ones([3], dtype=x.dtype, device=x.device)]
    return x + self.table[0]
)");
  const auto gm = trace(module);
  ASSERT_TRUE(gm.ok()) << gm.status();
  EXPECT_TRUE(gm->module_paths().empty());
  EXPECT_THAT(gm->guards, ::testing::Contains(HasSubstr("table is at the start")));
}

}  // namespace
}  // namespace fxq
