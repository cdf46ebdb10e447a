// Programs against the reference graph, bit for bit: nets x dialects x sizes x batches x threads.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/Generator.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "fxq/graph/artifact.h"
#include "fxq/quant/quant_op_module.h"
#include "fxq/runtime/lower/aten_kernels.h"
#include "fxq/runtime/lower/lower.h"
#include "quantized_net.h"

namespace fxq {
namespace {

struct Case {
  std::string name;
  std::vector<std::vector<int64_t>> shapes;  // of the one input
  std::vector<int> threads = {2};
};

std::vector<Case> cases() {
  return {{"digits", {{1, 1, 8, 8}, {3, 1, 8, 8}, {2, 1, 11, 9}}, {1, 2, 3}},
          {"resnet18", {{1, 3, 64, 64}, {2, 3, 65, 47}}, {1, 2, 3}},
          {"mobilenet_v2", {{1, 3, 64, 64}, {2, 3, 65, 47}}, {1, 2, 3}},
          {"onet", {{1, 3, 48, 48}, {3, 3, 48, 48}}, {1, 2, 3}},
          {"rnet", {{1, 3, 24, 24}, {3, 3, 24, 24}}},
          {"pnet", {{1, 3, 36, 36}, {2, 3, 41, 29}}},
          {"resnet50", {{1, 3, 64, 64}, {2, 3, 65, 47}}},
          {"vgg11_bn", {{2, 3, 64, 33}}},
          {"squeezenet1_1", {{1, 3, 64, 64}, {2, 3, 65, 47}}},
          {"densenet121", {{1, 3, 64, 64}, {2, 3, 65, 47}}},
          {"googlenet", {{1, 3, 64, 64}, {2, 3, 65, 47}}},
          {"inception_v3", {{1, 3, 96, 96}, {2, 3, 97, 85}}},
          {"shufflenet_v2_x1_0", {{1, 3, 64, 64}, {2, 3, 65, 47}}},
          {"mnasnet1_0", {{1, 3, 64, 64}, {2, 3, 65, 47}}},
          {"mobilenet_v3_large", {{1, 3, 64, 64}, {2, 3, 65, 47}}},
          {"efficientnet_b0", {{1, 3, 64, 64}, {2, 3, 65, 47}}},
          {"regnet_y_400mf", {{1, 3, 64, 64}, {2, 3, 65, 47}}},
          {"fcn_resnet50", {{1, 3, 64, 64}, {2, 3, 65, 47}}},
          {"unet", {{1, 3, 32, 32}, {2, 3, 48, 24}}},
          {"odd_sizes", {{2, 3, 20, 24}, {1, 3, 33, 17}}}};
}

FixtureNet fixture(const std::string& name, const std::string& dialect) {
  const std::string stem = std::string(FXQ_MODELS_DIR) + "/" + name;
  return {stem + "." + dialect + ".pt", stem + ".calib.npy"};
}

ExecutorOptions with_threads(int threads) {
  ExecutorOptions options;
  options.threads = threads;
  options.provider = aten_kernels();
  return options;
}

class NetsTest : public ::testing::TestWithParam<std::tuple<Case, std::string>> {};

TEST_P(NetsTest, ProgramEqualsReference) {
  const auto& [net, dialect] = GetParam();
  if (!exists(fixture(net.name, dialect))) GTEST_SKIP() << "make the fixture models first";
  at::manual_seed(1);
  const auto model = quantize(fixture(net.name, dialect));
  ASSERT_TRUE(model.ok()) << model.status();
  for (const int threads : net.threads) {
    auto program = lower(model->graph_module());
    ASSERT_TRUE(program.ok()) << program.status();
    auto executor = Executor::create(*std::move(program), with_threads(threads));
    ASSERT_TRUE(executor.ok()) << executor.status();
    for (const auto& shape : net.shapes) {
      EXPECT_EQ(difference(*model, **executor, {shape}), "")
          << threads << " threads, " << ::testing::PrintToString(shape);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, NetsTest,
                         ::testing::Combine(::testing::ValuesIn(cases()),
                                            ::testing::Values("script", "trace")),
                         [](const auto& info) {
                           return std::get<0>(info.param).name + "_" + std::get<1>(info.param);
                         });

TEST(QConfigs, PerTensorWeightsRunAsTheReference) {
  QuantizeNetOptions options;
  options.qconfig = *get_default_calib_qconfig();
  options.qconfig->weight = *FakeQuantizeFactory().with_args({{"observer", "min_max"}});
  for (const auto& [name, shape] : {std::pair("onet", std::vector<int64_t>{2, 3, 48, 48}),
                                    std::pair("mobilenet_v2", std::vector<int64_t>{1, 3, 64, 64}),
                                    std::pair("unet", std::vector<int64_t>{1, 3, 32, 32})}) {
    if (!exists(fixture(name, "script"))) GTEST_SKIP() << "make the fixture models first";
    const auto model = quantize(fixture(name, "script"), options);
    ASSERT_TRUE(model.ok()) << model.status();
    auto program = lower(model->graph_module());
    ASSERT_TRUE(program.ok()) << program.status();
    auto executor = Executor::create(*std::move(program), with_threads(2));
    ASSERT_TRUE(executor.ok()) << executor.status();
    EXPECT_EQ(difference(*model, **executor, {shape}), "") << name;
  }
}

// Nets that use one odd thing each: whatever can be quantized must also run, and agree.
TEST(OddNets, ProgramsEqualReferences) {
  int ran = 0;
  for (const auto& entry : std::filesystem::directory_iterator(FXQ_MODELS_DIR)) {
    const std::string file = entry.path().filename().string();
    const bool is_script = file.find(".script.pt") != std::string::npos;
    const size_t end = file.find(is_script ? ".script.pt" : ".trace.pt");
    if (file.rfind("odd_", 0) != 0 || end == std::string::npos) continue;
    const FixtureNet net = fixture(file.substr(0, end), is_script ? "script" : "trace");
    if (!exists(net)) continue;
    const auto model = quantize(net);
    ASSERT_TRUE(model.ok()) << file << ": " << model.status();
    auto program = lower(model->graph_module());
    if (!program.ok()) {  // only what a program cannot do by its nature may be refused
      const std::string message = program.status().ToString();
      const bool writes = message.find("in place") != std::string::npos;
      const bool list_of_data = message.find("is list(") != std::string::npos;
      const bool remembers = message.find("keeps a state") != std::string::npos;
      EXPECT_TRUE(writes || list_of_data || remembers) << file << ": " << message;
      continue;
    }
    ExecutorOptions options = with_threads(2);
    AtenOptions aten;
    aten.allow_torchscript = true;
    options.provider = aten_kernels(aten);
    auto executor = Executor::create(*std::move(program), options);
    ASSERT_TRUE(executor.ok()) << file << ": " << executor.status();
    std::vector<std::vector<int64_t>> shapes;
    for (const Node* node : model->graph_module().graph().placeholders()) {
      shapes.emplace_back();
      for (const Dim& dim : *node->type.dims) shapes.back().push_back(dim.size);
    }
    EXPECT_EQ(difference(*model, **executor, shapes), "") << file;
    ++ran;
  }
  if (ran == 0) GTEST_SKIP() << "make the fixture models first";
  EXPECT_GE(ran, 12);
}

TEST(Files, SavedProgramRunsTheSame) {
  const FixtureNet net = fixture("digits", "script");
  if (!exists(net)) GTEST_SKIP() << "make the fixture models first";
  const auto model = quantize(net);
  ASSERT_TRUE(model.ok()) << model.status();
  const auto program = lower(model->graph_module());
  ASSERT_TRUE(program.ok()) << program.status();
  Artifact artifact;
  program->to_artifact(artifact);
  auto loaded = Program::from_artifact(artifact);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  auto executor = Executor::create(*std::move(loaded), with_threads(1));
  ASSERT_TRUE(executor.ok()) << executor.status();
  EXPECT_EQ(difference(*model, **executor, {{2, 1, 8, 8}}), "");
}

}  // namespace
}  // namespace fxq
