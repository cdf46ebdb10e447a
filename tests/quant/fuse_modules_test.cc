// fuse_modules and fuse_known_modules: all sequences of the API page in both modes, what is refused
// and why, fusers of the user's own.
#include "fxq/quant/fuse_modules.h"

#include <ATen/ops/equal.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fxq/graph/text.h"
#include "fxq/graph/weighted_bn_module.h"
#include "nets.h"

namespace fxq {
namespace {

using quant_test::graph_text;
using quant_test::net;
using quant_test::random;
using ::testing::HasSubstr;

constexpr const char* kConv = R"(
module @c = conv2d(weight: f32[3,3,3,3], bias: f32[3], padding=[1,1])
module @bn = batch_norm(weight: f32[3], bias: f32[3], running_mean: f32[3], running_var: f32[3], momentum=0.1, eps=1e-05, cudnn_enabled=true)
module @relu = relu()
state * = normal(7)
state @bn.running_var = uniform(8, 0.5, 2.0)
)";
constexpr const char* kLinear = R"(
module @c = linear(weight: f32[3,3], bias: none)
module @bn = batch_norm(weight: f32[3], bias: f32[3], running_mean: f32[3], running_var: f32[3], momentum=0.1, eps=1e-05, cudnn_enabled=true)
module @relu = relu()
state * = normal(7)
state @bn.running_var = uniform(8, 0.5, 2.0)
)";

// A net that calls these members one after the other; an add's other operand is the input.
std::string chain(const std::string& modules, const std::vector<std::string>& members,
                  const std::string& type) {
  std::string text = modules + fmt::format("graph (%x: {}) {{\n", type);
  std::string value = "x";
  for (const std::string& member : members) {
    if (member == "add") {
      text += fmt::format(
          "  %add = add(%{}, %x) : {} {{owner=\"add\", class=\"FloatFunctional\"}}\n", value, type);
    } else {
      const std::string op = member == "relu"   ? "relu"
                             : member == "bn"   ? "batch_norm"
                             : modules == kConv ? "conv2d"
                                                : "linear";
      text += fmt::format("  %{0} = {1} @{0}(%{2}) : {3}\n", member, op, value, type);
    }
    value = member;
  }
  return text + fmt::format("  return %{}\n}}\n", value);
}

TEST(FuseModulesTest, EverySequenceOfThePage) {
  const std::vector<std::vector<std::string>> sequences = {{"c", "bn"},
                                                           {"c", "bn", "relu"},
                                                           {"c", "relu"},
                                                           {"c", "bn", "add"},
                                                           {"c", "bn", "add", "relu"},
                                                           {"c", "add"},
                                                           {"c", "add", "relu"},
                                                           {"bn", "relu"}};
  for (const char* modules : {kConv, kLinear}) {
    const bool is_conv = modules == kConv;
    const std::string type = is_conv ? "f32[4,3,8,8]" : "f32[4,3]";
    const at::Tensor x = is_conv ? random({4, 3, 8, 8}) : random({4, 3});
    for (const auto& members : sequences) {
      for (const bool training : {false, true}) {
        SCOPED_TRACE(
            fmt::format("{} {} {}", is_conv ? "conv" : "linear", members.size(), training));
        GraphModule gm = net(chain(modules, members, type));
        gm.train(training);
        const std::string before = print_text(gm);
        auto fused = fuse_modules(gm, members);
        ASSERT_TRUE(fused.ok()) << fused.status();
        EXPECT_EQ(print_text(gm), before) << "the caller's model stays";
        for (size_t i = 1; i < members.size(); ++i) {
          EXPECT_EQ(fused->graph().find(members[i])->op(), OpId::kIdentity) << members[i];
          EXPECT_EQ(fused->module(members[i])->kind(), "identity");
        }
        const bool with_bn = training && members[0] == "c" && members[1] == "bn";
        EXPECT_EQ(std::dynamic_pointer_cast<WeightedBnModule>(fused->module("c")) != nullptr,
                  with_bn);
        const auto clone = GraphModule::Copy::kCloneAll;
        EXPECT_TRUE(fused->copy(clone).forward({x})->toTensor().allclose(
            gm.copy(clone).forward({x})->toTensor(), 1e-4, 1e-5));
      }
    }
  }
}

TEST(FuseModulesTest, TheFirstIsReplacedTheRestIsIdentity) {
  const GraphModule gm = net(chain(kConv, {"c", "bn", "add", "relu"}, "f32[4,3,8,8]"));
  auto fused = fuse_modules(gm, {"c", "bn", "add", "relu"});
  EXPECT_EQ(graph_text(*fuse_modules(gm, {{"c", "bn", "add", "relu"}})), graph_text(*fused));
  ASSERT_TRUE(fused.ok()) << fused.status();
  EXPECT_EQ(graph_text(*fused), R"(graph (%x) {
  %c = conv2d @c(%x, add=%x, activation="relu")
  %bn = identity @bn(%c)
  %add = identity @add(%bn)
  %relu = identity @relu(%add)
  return %relu
}
)");
}

std::string refusal(const std::string& text, const std::vector<std::string>& list) {
  return std::string(fuse_modules(net(text), list).status().message());
}

TEST(FuseModulesTest, RefusalsAreExplained) {
  const std::string plain = chain(kConv, {"c", "relu", "bn"}, "f32[4,3,8,8]");
  EXPECT_THAT(refusal(plain, {"c", "relu", "bn"}), HasSubstr("is no known sequence"));
  EXPECT_THAT(refusal(plain, {"c", "bn"}), HasSubstr("%bn does not read %c"));
  EXPECT_THAT(refusal(plain, {"c", "rely"}), HasSubstr("did you mean \"relu\""));
  EXPECT_THAT(refusal(plain, {"c"}), HasSubstr("two modules or more"));
  const std::string shared = std::string(kConv) + R"(graph (%x: f32[4,3,8,8]) {
  %c = conv2d @c(%x) : f32[4,3,8,8]
  %d = conv2d @c(%c) : f32[4,3,8,8]
  %relu = relu @relu(%d) : f32[4,3,8,8]
  return %relu
}
)";
  EXPECT_THAT(refusal(shared, {"c", "relu"}), HasSubstr("module 'c' is called 2 times"));
  const std::string twice = std::string(kConv) + R"(graph (%x: f32[4,3,8,8]) {
  %c = conv2d @c(%x) : f32[4,3,8,8]
  %relu = relu @relu(%c) : f32[4,3,8,8]
  return (%relu, %c)
}
)";
  EXPECT_THAT(refusal(twice, {"c", "relu"}), HasSubstr("%c has 2 users"));
}

TEST(FuseModulesTest, InPlaceIsAllOrNothing) {
  GraphModule gm = net(chain(kConv, {"c", "bn", "relu"}, "f32[4,3,8,8]"));
  const std::string before = print_text(gm);
  EXPECT_FALSE(fuse_modules_inplace(gm, {{"c", "bn"}, {"relu", "c"}}).ok());
  EXPECT_EQ(print_text(gm), before);
  EXPECT_TRUE(fuse_modules_inplace(gm, {{"c", "bn", "relu"}}).ok());
  EXPECT_EQ(gm.graph().find("relu")->op(), OpId::kIdentity);
}

TEST(FuseModulesTest, FusersOfTheUsersOwn) {
  const GraphModule gm = net(chain(kConv, {"c", "bn", "relu"}, "f32[4,3,8,8]"));
  FuseModulesOptions options;
  std::vector<std::string> seen;
  options.fuser_func = [&](const ModuleList& modules, const FuserMethodMapping&) {
    for (const auto& module : modules) seen.push_back(module->kind());
    return fuse_known_modules(modules);
  };
  ASSERT_TRUE(fuse_modules(gm, {"c", "bn"}, options).ok());
  EXPECT_EQ(seen, (std::vector<std::string>{"conv2d", "batch_norm"}));
  // The text has no classes, so these are the kinds.
  FuseModulesOptions mapping;
  mapping.additional_fuser_method_mapping["conv2d,batch_norm"] =
      [](const ModuleList& modules) -> absl::StatusOr<std::shared_ptr<LeafModule>> {
    return modules[0];
  };
  auto fused = fuse_modules(gm, {"c", "bn"}, mapping);
  ASSERT_TRUE(fused.ok()) << fused.status();
  EXPECT_TRUE(at::equal(fused->op_module(*fused->graph().find("c"))->tensor("weight"),
                        gm.op_module(*gm.graph().find("c"))->tensor("weight")));
  options.fuser_func = [](const ModuleList&, const FuserMethodMapping&) {
    return absl::StatusOr<ModuleList>(ModuleList{});
  };
  EXPECT_THAT(std::string(fuse_modules(gm, {"c", "bn"}, options).status().message()),
              HasSubstr("returned 0 modules for 2"));
}

// FloatFunctional observes what it gives: "%relu does not read %add".
TEST(FuseModulesTest, AddsOfAFloatFunctional) {
  const std::string modules =
      std::string(kConv) + "module @q.activation_post_process = identity()\n";
  const std::string start = modules + R"(graph (%x: f32[4,3,8,8]) {
  %c = conv2d @c(%x) : f32[4,3,8,8]
  %bn = batch_norm @bn(%c) : f32[4,3,8,8]
  %add = add(%bn, %x) : f32[4,3,8,8] {owner="q", class="FloatFunctional"}
)";
  const GraphModule add = net(start + R"(
  %seen = identity @q.activation_post_process(%add) : f32[4,3,8,8] {owner="q"}
  %relu = relu @relu(%seen) : f32[4,3,8,8]
  return %relu
}
)");
  const GraphModule add_relu = net(start + R"(
  %both = relu(%add) : f32[4,3,8,8] {owner="q", class="FloatFunctional"}
  %seen = identity @q.activation_post_process(%both) : f32[4,3,8,8] {owner="q"}
  return %seen
}
)");
  const at::Tensor x = random({4, 3, 8, 8});
  const std::pair<const GraphModule&, std::vector<std::string>> cases[] = {
      {add, {"c", "bn", "q", "relu"}}, {add_relu, {"c", "bn", "q"}}};
  for (const auto& [model, list] : cases) {
    const auto fused = fuse_modules(model, list);
    ASSERT_TRUE(fused.ok()) << fused.status();
    EXPECT_THAT(graph_text(*fused), HasSubstr("conv2d @c(%x, add=%x, activation=\"relu\")"));
    const at::Tensor expected = model.forward({x})->toTensor();
    EXPECT_TRUE(fused->forward({x})->toTensor().allclose(expected, 1e-4, 1e-5));
  }
}

TEST(FuseModulesTest, BrokenFusersAreErrors) {
  const GraphModule gm = net(chain(kConv, {"c", "bn"}, "f32[4,3,8,8]"));
  const auto message = [&](const FuseModulesOptions& options) {
    return std::string(fuse_modules(gm, {"c", "bn"}, options).status().message());
  };
  FuseModulesOptions options;
  options.fuser_func = nullptr;
  EXPECT_THAT(message(options), HasSubstr("fuser_func is empty"));
  options.fuser_func = [](const ModuleList&, const FuserMethodMapping&) {
    return absl::StatusOr<ModuleList>(ModuleList{nullptr, nullptr});
  };
  EXPECT_THAT(message(options), HasSubstr("the fuser's result: module 0 is null"));
  FuseModulesOptions mapping;
  FuserMethod& method = mapping.additional_fuser_method_mapping["conv2d, batch_norm"];
  EXPECT_THAT(message(mapping), HasSubstr("the fuser of [conv2d,batch_norm] is empty"));
  method = [](const ModuleList&) { return absl::StatusOr<std::shared_ptr<LeafModule>>(nullptr); };
  EXPECT_THAT(message(mapping), HasSubstr("[conv2d,batch_norm] gave: module 0 is null"));
  EXPECT_THAT(std::string(fuse_known_modules({nullptr}).status().message()),
              HasSubstr("module 0 is null"));
  FuseModulesOptions typo;
  typo.additional_fuser_method_mapping["conv2d,bach_norm"] = method;
  EXPECT_THAT(message(typo), HasSubstr("no list is [conv2d,bach_norm]; did you mean"));
}

TEST(FuseModulesTest, AFusedModuleRunsByItself) {
  const GraphModule gm = net(chain(kConv, {"c", "bn", "add", "relu"}, "f32[4,3,8,8]"));
  auto add = std::make_shared<OpModule>("add", OpId::kAdd, NamedTensors{}, NamedAttributes{});
  auto list = fuse_known_modules({gm.module("c"), gm.module("bn"), add, gm.module("relu")});
  ASSERT_TRUE(list.ok()) << list.status();
  ASSERT_EQ(list->size(), 4);
  const at::Tensor x = random({4, 3, 8, 8});
  const at::Tensor y = list->front()->call("forward", {x, x}).toTensor();
  EXPECT_TRUE(y.allclose(gm.forward({x})->toTensor(), 1e-4, 1e-5));
  for (size_t i = 1; i < 4; ++i) EXPECT_EQ((*list)[i]->kind(), "identity");
}

}  // namespace
}  // namespace fxq
