// The pipeline's promises: order, reports, verification after each pass.
#include "fxq/passes/pipeline.h"

#include <gmock/gmock.h>

#include <cstdlib>

#include "fxq/passes/registry.h"
#include "graph_of.h"

namespace fxq {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kDead =
    "graph (%x) {\n  %a = sigmoid(%x)\n  %b = identity(%x)\n  return %b\n}\n";

std::vector<std::unique_ptr<Pass>> one(std::string name, PassFunction function) {
  std::vector<std::unique_ptr<Pass>> passes;
  passes.push_back(std::make_unique<FunctionPass>(std::move(name), function));
  return passes;
}

TEST(PipelineTest, RunsInOrderAndReports) {
  GraphModule gm = graph_of(kDead);
  std::vector<std::string> dumped;
  PipelineOptions options;
  options.dump = [&](std::string_view pass, const std::string&) { dumped.emplace_back(pass); };
  auto pipeline = Pipeline::parse("remove_identity, dce, cse", options);
  ASSERT_TRUE(pipeline.ok()) << pipeline.status();
  EXPECT_TRUE(*pipeline->run(gm));
  EXPECT_THAT(dumped, ElementsAre("", "remove_identity", "dce"));
  ASSERT_EQ(pipeline->runs().size(), 3);
  EXPECT_EQ(pipeline->runs()[1].name, "dce");
  EXPECT_TRUE(pipeline->runs()[1].changed);
  EXPECT_FALSE(pipeline->runs()[2].changed);
  EXPECT_EQ(body_of(gm), "  return %x\n");
}

TEST(PipelineTest, SkipsWhatIsDisabled) {
  GraphModule gm = graph_of(kDead);
  PipelineOptions options;
  options.disabled = {"remove_identity"};
  ::setenv("FXQ_DISABLE_PASSES", "cse,dce", 1);
  auto pipeline = Pipeline::parse("remove_identity, dce, cse", options);
  ::unsetenv("FXQ_DISABLE_PASSES");
  ASSERT_TRUE(pipeline.ok());
  EXPECT_FALSE(*pipeline->run(gm));
  for (const PassRun& run : pipeline->runs()) EXPECT_TRUE(run.skipped) << run.name;
  EXPECT_EQ(print_text(gm), print_text(graph_of(kDead)));
}

TEST(PipelineTest, NamesThePassThatBrokeTheGraph) {
  GraphModule gm = graph_of(kDead);
  Pipeline pipeline(one("breaker", [](GraphModule& graph) -> absl::StatusOr<bool> {
    graph.graph().move_before(graph.graph().output_node(), graph.graph().first());
    return true;
  }));
  const auto result = pipeline.run(gm);
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("after pass breaker"));
}

TEST(PipelineTest, CatchesAPassThatHidesAChange) {
  GraphModule gm = graph_of(kDead);
  PipelineOptions options;
  options.check_unchanged = true;
  Pipeline pipeline(one("liar",
                        [](GraphModule& graph) -> absl::StatusOr<bool> {
                          graph.graph().rename(graph.graph().find("a"), "c");
                          return false;
                        }),
                    options);
  const auto result = pipeline.run(gm);
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("liar changed the graph"));
}

TEST(PipelineTest, KeepsThePassesOwnError) {
  GraphModule gm = graph_of(kDead);
  Pipeline pipeline(one("fails", [](GraphModule&) -> absl::StatusOr<bool> {
    return absl::UnimplementedError("no such thing");
  }));
  EXPECT_EQ(pipeline.run(gm).status(), absl::UnimplementedError("pass fails: no such thing"));
}

TEST(RegistryTest, EveryPassIsNamedOnceAndRunsOnAnEmptyGraph) {
  std::set<std::string_view> names;
  for (const PassInfo& info : pass_table()) {
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
    EXPECT_FALSE(info.help.empty()) << info.name;
    GraphModule gm = graph_of("graph (%x) {\n  return %x\n}\n");
    auto pass = make_pass(info.name);
    ASSERT_TRUE(pass.ok()) << pass.status();
    const auto changed = (*pass)->run(gm);
    ASSERT_TRUE(changed.ok()) << info.name << ": " << changed.status();
    EXPECT_FALSE(*changed) << info.name;
  }
}

TEST(RegistryTest, OneNameMeansOne) {
  EXPECT_EQ(make_pass("").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(make_pass("dce, cse").status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace fxq
