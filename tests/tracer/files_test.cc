// Model files: the fixtures are captured exactly, damaged ones end in a message.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <torch/csrc/jit/serialization/pickle.h>

#include <filesystem>
#include <fstream>

#include "fxq/base/file.h"
#include "fxq/data/npy.h"
#include "fxq/graph/leaf_module.h"
#include "fxq/graph/tensor_convert.h"
#include "fxq/graph/verifier.h"
#include "script_source.h"

namespace fxq {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

std::vector<fs::path> fixture_models() {
  std::vector<fs::path> paths;
  if (!fs::exists(FXQ_MODELS_DIR)) return paths;
  for (const auto& entry : fs::directory_iterator(FXQ_MODELS_DIR)) {
    if (entry.path().extension() == ".pt") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

// NAME.input.npy, or NAME.input.0.npy, NAME.input.1.npy, ...
std::vector<c10::IValue> read_inputs(const std::string& stem) {
  std::vector<c10::IValue> inputs;
  const auto add = [&](const std::string& path) {
    if (!fs::exists(path)) return false;
    auto tensor = read_npy(path);
    EXPECT_TRUE(tensor.ok()) << tensor.status();
    inputs.emplace_back(to_at_tensor(*tensor));
    return true;
  };
  if (add(stem + ".input.npy")) return inputs;
  for (int i = 0; add(stem + ".input." + std::to_string(i) + ".npy"); ++i) {
  }
  return inputs;
}

class Fixture : public ::testing::TestWithParam<fs::path> {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Fixture);

TEST_P(Fixture, GraphEqualsForward) {
  const std::string path = GetParam().string();
  auto module = load_script_module(path);
  ASSERT_TRUE(module.ok()) << module.status();
  auto gm = trace(*module);
  ASSERT_TRUE(gm.ok()) << gm.status();
  EXPECT_TRUE(verify(*gm).ok()) << verify(*gm);
  const std::string stem = path.substr(0, path.rfind('.', path.rfind('.') - 1));
  const auto inputs = read_inputs(stem);
  ASSERT_FALSE(inputs.empty());
  expect_equal_results(*module, *gm, inputs);
  const auto larger = read_inputs(stem + ".224");
  if (!larger.empty()) expect_equal_results(*module, *gm, larger);
}

INSTANTIATE_TEST_SUITE_P(Models, Fixture, ::testing::ValuesIn(fixture_models()),
                         [](const auto& info) {
                           std::string name = info.param.stem().string();
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

class BadFile : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = (fs::temp_directory_path() / "fxq_tracer_test.pt").string();
    script_module("def forward(self, x):\n    return x + self.w.sum()\n").save(path_);
  }
  void TearDown() override { fs::remove(path_); }

  std::string bytes() const { return *read_file(path_); }
  absl::Status traced(const std::string& content) const {
    std::ofstream(path_, std::ios::binary) << content;
    return trace_file(path_).status();
  }

  std::string path_;
};

TEST_F(BadFile, MissingNamesThePath) {
  const absl::Status status = trace_file("/nowhere/net.pt").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/nowhere/net.pt"));
}

TEST_F(BadFile, WhatItIsInstead) {
  EXPECT_THAT(std::string(traced("").message()), HasSubstr("empty"));
  EXPECT_THAT(std::string(traced("hello").message()), HasSubstr("no TorchScript file"));
  EXPECT_THAT(std::string(traced("\x80\x02}q\x01.").message()), HasSubstr("state_dict"));
  const std::vector<char> pickle = torch::jit::pickle_save(at::ones({2}));
  EXPECT_THAT(std::string(traced({pickle.begin(), pickle.end()}).message()),
              HasSubstr("state_dict"));
}

TEST_F(BadFile, CutShortAnywhere) {
  const std::string whole = bytes();
  ASSERT_TRUE(trace_file(path_).ok());
  for (size_t i = 1; i < 40; ++i) {
    EXPECT_FALSE(traced(whole.substr(0, whole.size() * i / 40)).ok());
  }
}

TEST_F(BadFile, FlippedBytesNeverCrash) {
  const std::string whole = bytes();
  for (size_t i = 0; i < whole.size(); i += whole.size() / 150 + 1) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x55);
    traced(damaged).IgnoreError();
  }
}

}  // namespace
}  // namespace fxq
