// Small programs run by threads and from files; limits of memory and signatures.
#include "fxq/runtime/executor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <thread>

#include "fxq/base/safetensors.h"
#include "fxq/base/vectorize.h"
#include "fxq/runtime/storage.h"
#include "program_run.h"

namespace fxq {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::ProgramBuilder;
using testing::random_floats;
using testing::random_integers;

// quantize -> max pool -> add with itself shifted through a relu -> mean -> dequantize
Program small_net() {
  ProgramBuilder b;
  const ValueId x = b.input("x", DType::kF32, 4);
  const ValueId q = b.step("Quantize", {x}, {{"scale", 0.05}, {"dtype", "i8"}}, DType::kI8);
  const ValueId p = b.step("MaxPool", {q},
                           {{"kernel_size", std::vector<int64_t>{3}},
                            {"stride", std::vector<int64_t>{2}},
                            {"padding", std::vector<int64_t>{1}}},
                           DType::kI8);
  const ValueId r = b.step("Relu", {p}, {}, DType::kI8);
  const ValueId a = b.step("Add", {p, r},
                           {{"scale_a", 0.05},
                            {"scale_b", 0.05},
                            {"scale_out", 0.08},
                            {"activation", "relu"},
                            {"dtype", "u8"}},
                           DType::kU8);
  const ValueId m = b.step(
      "Mean", {a}, {{"dims", std::vector<int64_t>{2, 3}}, {"scale_in", 0.08}, {"scale_out", 0.02}},
      DType::kU8);
  const ValueId y = b.step("Dequantize", {m}, {{"scale", 0.02}}, DType::kF32);
  return b.output({y, p});
}

// The same in plain loops, on logical order.
std::vector<float> small_net_reference(const HostTensor& x) {
  const auto& d = x.dims();
  const int64_t h = d[2], w = d[3], ho = (h - 1) / 2 + 1, wo = (w - 1) / 2 + 1;
  const auto data = x.data<float>();
  const float inverse = 1.0F / 0.05F;
  std::vector<float> result;
  for (int64_t plane = 0; plane < d[0] * d[1]; ++plane) {
    int sum = 0;
    for (int64_t i = 0; i < ho; ++i) {
      for (int64_t j = 0; j < wo; ++j) {
        int best = -128;
        for (int64_t r = std::max<int64_t>(0, 2 * i - 1); r < std::min(h, 2 * i + 2); ++r) {
          for (int64_t c = std::max<int64_t>(0, 2 * j - 1); c < std::min(w, 2 * j + 2); ++c) {
            const float p = std::rint(data[(plane * h + r) * w + c] * inverse);
            best = std::max(best, static_cast<int>(std::min(127.0F, std::max(-128.0F, p))));
          }
        }
        const auto m = static_cast<float>(0.05 / 0.08);
        const float p =
            std::fma(m, static_cast<float>(std::max(best, 0)), static_cast<float>(best) * m);
        sum += static_cast<int>(std::rint(std::min(255.0F, std::max(0.0F, p))));
      }
    }
    const auto m = static_cast<float>(0.08 / 0.02 / static_cast<double>(ho * wo));
    const float q = std::rint(std::min(255.0F, static_cast<float>(sum) * m));
    result.push_back(q * 0.02F);
  }
  return result;
}

TEST(ExecutorTest, ComputesTheFormulasForAnyThreadCount) {
  const Program program = small_net();
  for (const std::vector<int64_t>& dims :
       {std::vector<int64_t>{1, 1, 1, 1}, {2, 3, 7, 5}, {1, 64, 56, 56}, {3, 33, 9, 14}}) {
    const HostTensor x = random_floats(dims, 3.0F, 7);
    const std::vector<float> expected = small_net_reference(x);
    for (int threads : {1, 2, 3}) {
      const auto outputs = testing::run(program, {x}, threads);
      ASSERT_EQ(outputs.size(), 2u);
      const auto y = outputs[0].data<float>();
      ASSERT_EQ(std::vector<float>(y.begin(), y.end()), expected);
      EXPECT_EQ(outputs[1].dtype(), DType::kI8);
    }
  }
}

TEST(ExecutorTest, SurvivesTheFile) {
  const Program program = small_net();
  Artifact artifact;
  program.to_artifact(artifact);
  const std::string path = ::testing::TempDir() + "/executor_test.fxq";
  ASSERT_TRUE(save_artifact(artifact, path).ok());
  auto executor = load_program(path);
  ASSERT_TRUE(executor.ok()) << executor.status();
  const HostTensor x = random_floats({1, 3, 8, 8}, 3.0F, 7);
  const auto outputs = (*executor)->run({x});
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  const auto expected = testing::run(program, {x});
  EXPECT_EQ(testing::integers((*outputs)[1]), testing::integers(expected[1]));
  EXPECT_THAT(load_program(path + ".none").status().message(), HasSubstr(path));
  std::remove(path.c_str());
}

TEST(ExecutorTest, ManyThreadsRunOneExecutor) {
  const Program program = small_net();
  ExecutorOptions options;
  options.threads = 2;
  options.max_signatures = 2;
  auto executor = Executor::create(program, options);
  ASSERT_TRUE(executor.ok());
  std::vector<HostTensor> inputs;
  std::vector<std::vector<float>> expected;
  for (int64_t size : {5, 8, 13}) {
    inputs.push_back(random_floats({2, 9, size, size}, 3.0F, 1));
    expected.push_back(small_net_reference(inputs.back()));
  }
  std::atomic<int> wrong{0};
  const auto work = [&](int seed) {
    for (int i = 0; i < 60; ++i) {
      const size_t which = static_cast<size_t>(i * 7 + seed) % inputs.size();
      const auto outputs = (*executor)->run({inputs[which]});
      if (!outputs.ok()) {
        ++wrong;
        continue;
      }
      const auto y = (*outputs)[0].data<float>();
      if (y != absl::MakeConstSpan(expected[which])) ++wrong;
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back(work, i);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_LE((*executor)->bound_signatures(), 2);
}

#if !defined(FXQ_SANITIZED)  // sanitizers end the process where new would throw
TEST(ExecutorTest, OutputsTooLargeForMemoryAreRefused) {
  ProgramBuilder b;
  const ValueId x = b.input("x", DType::kU8, 2);
  const int64_t side = int64_t{1} << 20;
  const Program program = b.output(
      {b.step("Pad", {x}, {{"pad", std::vector<int64_t>{side, side, side, side}}}, DType::kU8)});
  const absl::Status status = testing::run_status(program, {HostTensor(DType::kU8, {2, 2})});
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
}
#endif

TEST(ExecutorTest, SignaturesAreBoundedAndTheOldestGoes) {
  ExecutorOptions options;
  options.max_signatures = 3;
  auto executor = Executor::create(small_net(), options);
  ASSERT_TRUE(executor.ok());
  for (int64_t size = 4; size < 10; ++size) {
    const std::vector<std::vector<int64_t>> shapes = {{1, 2, size, size}};
    ASSERT_TRUE((*executor)->prepare(shapes).ok());
  }
  EXPECT_EQ((*executor)->bound_signatures(), 3);
}

TEST(ExecutorTest, InputErrorsNameEveryInput) {
  ProgramBuilder b;
  const ValueId left = b.input("left", DType::kU8, 4);
  const ValueId right = b.input("right", DType::kU8, 2);
  const Program program = b.output({left, right});
  EXPECT_THAT(testing::run_status(program, {}).message(), HasSubstr("needs 2: left, right"));
  const absl::Status status =
      testing::run_status(program, {HostTensor(DType::kF32, {1, 2}), HostTensor(DType::kU8, {2})});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("'left': got f32[1,2], need u8 with 4"), HasSubstr("'right'")));
}

TEST(ExecutorTest, InputsAreNeverWrittenAndMayBeOutputs) {
  ProgramBuilder b;
  const ValueId x = b.input("x", DType::kU8);
  const ValueId flat =
      b.step("Reshape", {x}, {{"op", "flatten"}, {"start_dim", int64_t{1}}}, DType::kU8);
  const ValueId relu = b.step("Relu6", {flat}, {{"hi", int64_t{9}}}, DType::kU8);
  const HostTensor tensor = random_integers(DType::kU8, {2, 3, 4, 5}, 3);
  const std::vector<int> before = testing::integers(tensor);
  const auto outputs = testing::run(b.output({x, flat, relu, flat}), {tensor});
  ASSERT_EQ(outputs.size(), 4u);
  EXPECT_EQ(testing::integers(tensor), before);
  EXPECT_EQ(testing::integers(outputs[0]), before);
  EXPECT_EQ(testing::integers(outputs[1]), before);
  EXPECT_EQ(testing::integers(outputs[3]), before);
  EXPECT_EQ(outputs[1].dims(), (std::vector<int64_t>{2, 60}));
  for (size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(testing::integer_at(outputs[2], static_cast<int64_t>(i)), std::min(before[i], 9));
  }
}

TEST(ExecutorTest, TapShowsEveryValueAndProfileCountsEveryStep) {
  ExecutorOptions options;
  options.profile = true;
  auto executor = Executor::create(small_net(), options);
  ASSERT_TRUE(executor.ok());
  const HostTensor x = random_floats({1, 3, 8, 8}, 3.0F, 7);
  std::vector<std::string> seen;
  const auto outputs = (*executor)->run_tapped(
      {x}, [&](const Value& value, const HostTensor&) { seen.push_back(value.name); });
  ASSERT_TRUE(outputs.ok());
  EXPECT_THAT(seen, ::testing::ElementsAre("Quantize0", "MaxPool1", "Relu2", "Add3", "Mean4",
                                           "Dequantize5"));
  ASSERT_TRUE((*executor)->run({x}).ok());
  const auto profile = (*executor)->profile();
  ASSERT_EQ(profile.size(), 6u);
  for (const StepProfile& step : profile) EXPECT_EQ(step.calls, 1) << step.name;
}

TEST(ExecutorTest, GuardsAndRegistersFollowShapes) {
  ProgramBuilder b;
  const ValueId x = b.input("x", DType::kF32);
  const ValueId n = b.reg("Size", {x}, {{"dim", int64_t{0}}}, ValueKind::kInt);
  const ValueId two = b.reg("Scalar", {}, {{"value", int64_t{2}}}, ValueKind::kInt);
  const ValueId half = b.reg("IntArithmetic", {n, two}, {{"op", "floordiv"}}, ValueKind::kInt);
  const ValueId rest = b.reg("Scalar", {}, {{"value", int64_t{-1}}}, ValueKind::kInt);
  const ValueId shape = b.reg("Ints", {half, rest}, {}, ValueKind::kInts);
  const ValueId even = b.reg("IntArithmetic", {n, two}, {{"op", "remainder"}}, ValueKind::kInt);
  const ValueId zero = b.reg("Scalar", {}, {{"value", int64_t{0}}}, ValueKind::kInt);
  const ValueId good = b.reg("Compare", {even, zero}, {{"op", "eq"}}, ValueKind::kBool);
  const ValueId y = b.step("Reshape", {x, shape}, {}, DType::kF32);
  b.program().guards.push_back({good, "the batch must be even"});
  const Program program = b.output({y, half, shape, good});
  const auto outputs = testing::run(program, {random_floats({4, 3}, 1, 1)});
  ASSERT_EQ(outputs.size(), 4u);
  EXPECT_EQ(outputs[0].dims(), (std::vector<int64_t>{2, 6}));
  EXPECT_EQ(outputs[1].data<int64_t>()[0], 2);
  EXPECT_EQ(outputs[2].data<int64_t>()[1], -1);
  EXPECT_EQ(outputs[3].data<uint8_t>()[0], 1);
  EXPECT_THAT(testing::run_status(program, {random_floats({3, 4}, 1, 1)}).message(),
              HasSubstr("the batch must be even"));
}

}  // namespace
}  // namespace fxq
