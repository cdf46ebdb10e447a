// Graphs through files: equal content, tied tensors, damage.
#include "fxq/graph/artifact.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/api/module.h>

#include <filesystem>

#include "fxq/base/file.h"
#include "fxq/base/safetensors.h"
#include "fxq/graph/opaque_module.h"

namespace fxq {
namespace {

using ::testing::HasSubstr;

const char* const kText = R"(
  setting march = "CPU"
  guard "x.dim() == 2"
  module @a = linear(weight: f32[4,4], bias: f32[4]) {class="torch.nn.modules.linear.Linear"}
  module @b = linear(weight: f32[4,4], bias: none) {frozen=["weight"]}
  module @q = linear(weight: i8[4,4], bias: i32[4], weight_scale: f32[4])
  buffer @odd : i64[3]
  parameter @p : f32[4]
  state * = normal(7)
  state @b.weight = @a.weight
  graph (%x: f32[2,4]) {
    %a = linear @a(%x) {source="net.py:3", origins=["a", "bn"]}
    %b = linear @b(%a)
    %p = get_attr @p
    %o = get_attr @odd
    %s = add(%b, %p)
    return (%s, %o)
  })";

class ArtifactTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(::testing::TempDir()) /
              (std::string("artifact_") +
               ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string path(const std::string& name) const { return folder_ / name; }

  static GraphModule net() {
    auto gm = parse_text(kText);
    EXPECT_TRUE(gm.ok()) << gm.status();
    return *std::move(gm);
  }

  static std::string all(const GraphModule& gm) {
    PrintOptions options;
    options.annotations = true;
    return print_text(gm, options);
  }

  // x -> x * w + 1, as TorchScript.
  static torch::jit::Module script() {
    torch::jit::Module module("Scale");
    module.register_parameter("w", at::full({2}, 3.0), false);
    module.define("def forward(self, x):\n  return x * self.w + 1\n");
    return module;
  }

  static GraphModule opaque_net() {
    GraphModule gm;
    gm.set_module("net.0", std::make_shared<OpaqueModule>(script()));
    Node* x = gm.graph().placeholder("x", Type::tensor(DType::kF32, {2}));
    gm.graph().output(gm.call_module("net.0", {x}));
    return gm;
  }

  std::filesystem::path folder_;
};

TEST_F(ArtifactTest, LoadGivesWhatWasSaved) {
  const GraphModule gm = net();
  ASSERT_TRUE(save(gm, path("a.fxq")).ok());
  const auto loaded = load(path("a.fxq"));
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(all(*loaded), all(gm));
  EXPECT_EQ(loaded->settings.at("march"), "CPU");
  const at::Tensor x = at::ones({2, 4});
  const auto before = gm.forward({x});
  const auto after = loaded->forward({x});
  ASSERT_TRUE(before.ok() && after.ok()) << before.status() << after.status();
  EXPECT_TRUE(before->toTupleRef().elements()[0].toTensor().equal(
      after->toTupleRef().elements()[0].toTensor()));
  EXPECT_TRUE(gm.tensor("odd").equal(loaded->tensor("odd")));
  EXPECT_EQ(loaded->parameters().size(), gm.parameters().size());
}

TEST_F(ArtifactTest, TiedTensorsAreStoredOnceAndStayTied) {
  ASSERT_TRUE(save(net(), path("a.fxq")).ok());
  const auto artifact = load_artifact(path("a.fxq"));
  ASSERT_TRUE(artifact.ok()) << artifact.status();
  EXPECT_EQ(artifact->tensors.count("a.weight"), 1);
  EXPECT_EQ(artifact->tensors.count("b.weight"), 0);
  const auto loaded = load(path("a.fxq"));
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->module("a")->tensors()[0].second.data_ptr(),
            loaded->module("b")->tensors()[0].second.data_ptr());
}

TEST_F(ArtifactTest, SameContentSameBytes) {
  for (const char* name : {"a.fxq", "b.fxq"}) ASSERT_TRUE(save(net(), path(name)).ok());
  EXPECT_EQ(*read_file(path("a.fxq")), *read_file(path("b.fxq")));
  const GraphModule gm = opaque_net();
  for (const char* name : {"c.fxq", "d.fxq"}) ASSERT_TRUE(save(gm, path(name)).ok());
  EXPECT_EQ(*read_file(path("c.fxq")), *read_file(path("d.fxq")));
}

TEST_F(ArtifactTest, DamageIsDataLoss) {
  ASSERT_TRUE(save(net(), path("a.fxq")).ok());
  const std::string good = *read_file(path("a.fxq"));
  for (const size_t at : {good.size() / 4, good.size() / 2, good.size() - 5}) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x20);
    ASSERT_TRUE(write_file_atomically(path("bad.fxq"), bad).ok());
    const auto loaded = load(path("bad.fxq"));
    EXPECT_EQ(loaded.status().code(), absl::StatusCode::kDataLoss) << at << loaded.status();
  }
  EXPECT_FALSE(load(path("missing.fxq")).ok());
}

TEST_F(ArtifactTest, MissingTensorsAndGraphsAreNamed) {
  Artifact artifact;
  EXPECT_THAT(std::string(from_artifact(artifact).status().message()),
              HasSubstr("there is no graph"));
  ASSERT_TRUE(add_to_artifact(net(), artifact).ok());
  artifact.tensors.erase("a.bias");
  artifact.tensors.erase("odd");
  const auto loaded = from_artifact(artifact);
  EXPECT_THAT(std::string(loaded.status().message()), HasSubstr("there is no data for @a.bias"));
  EXPECT_THAT(std::string(loaded.status().message()), HasSubstr("there is no data for @odd"));
}

TEST_F(ArtifactTest, TorchScriptPartsNeedConsent) {
  const GraphModule gm = opaque_net();
  ASSERT_TRUE(save(gm, path("a.fxq")).ok());
  const auto refused = load(path("a.fxq"));
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("allow_torchscript"));
  LoadOptions options;
  options.allow_torchscript = true;
  const auto loaded = load(path("a.fxq"), options);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(all(*loaded), all(gm));
  const auto y = loaded->forward({at::ones({2})});
  ASSERT_TRUE(y.ok()) << y.status();
  EXPECT_EQ(y->toTensor()[1].item<float>(), 4.0F);
}

}  // namespace
}  // namespace fxq
