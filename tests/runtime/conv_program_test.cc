// Convolutions inside programs: residuals added in place, packed weights shared by signatures, runs
// from several threads at once.
#include <gtest/gtest.h>

#include <thread>

#include "conv_case.h"
#include "fxq/runtime/executor.h"
#include "program_run.h"

namespace fxq {
namespace {

using testing::ProgramBuilder;

ConvCase residual_block() {
  ConvCase c;
  c.x = {2, 32, 12, 12};
  c.weight = {32, 32, 3, 3};
  c.padding = {1, 1};
  c.x_type = DType::kI8;
  c.output = DType::kI8;
  c.other = DType::kI8;
  c.has_other = true;
  return c;
}

// other -> requantize to itself -> residual of the convolution, which may then overwrite it.
Program residual_program(const ConvData& data) {
  ProgramBuilder b;
  const ValueId x = b.input("x", data.inputs[0].dtype());
  const ValueId other = b.input("other", data.inputs[4].dtype());
  const ValueId weight = b.constant("weight", data.inputs[1]);
  const ValueId multiplier = b.constant("multiplier", data.inputs[2]);
  const ValueId bias = b.constant("bias", data.inputs[3]);
  const ValueId copy = b.step("Requantize", {other}, {{"scale_in", 0.5}, {"scale_out", 0.5}},
                              data.inputs[4].dtype());
  return b.output({b.step("Conv", {x, weight, multiplier, bias, copy}, data.step.attrs,
                          data.expected.dtype())});
}

TEST(ConvProgram, ResidualsAreExactOnAnyNumberOfThreads) {
  const ConvData data = make_data(residual_block());
  for (int threads = 1; threads <= 3; ++threads) {
    const auto outputs =
        testing::run(residual_program(data), {data.inputs[0], data.inputs[4]}, threads);
    ASSERT_EQ(outputs.size(), 1u);
    EXPECT_EQ(differences(outputs[0], data.expected), 0) << threads << " threads";
  }
}

// One constant, read as a convolution and as a transposed one: each packs it in its own form.
TEST(ConvProgram, FormsOfOneWeightAreNotMixedUp) {
  for (const DType type : {DType::kI8, DType::kI16}) {
    ConvCase c;
    c.x = {1, 16, 9, 9};
    c.weight = {16, 16, 3, 3};
    c.padding = {1, 1};
    c.x_type = type;
    c.output = type;
    const ConvData plain = make_data(c);
    c.kernel = "ConvTranspose";
    const ConvData transposed = make_data(c);
    ProgramBuilder b;
    const ValueId x = b.input("x", type);
    const ValueId weight = b.constant("weight", plain.inputs[1]);
    const auto conv = [&](const char* kernel, const ConvData& data) {
      const std::string name = kernel;
      const ValueId multiplier = b.constant(name + ".multiplier", data.inputs[2]);
      const ValueId bias = b.constant(name + ".bias", data.inputs[3]);
      return b.step(kernel, {x, weight, multiplier, bias}, data.step.attrs, type);
    };
    const ValueId first = conv("Conv", plain);
    const Program program = b.output({first, conv("ConvTranspose", transposed)});
    const auto outputs = testing::run(program, {plain.inputs[0]});
    ASSERT_EQ(outputs.size(), 2u);
    EXPECT_EQ(differences(outputs[0], plain.expected), 0);
    EXPECT_EQ(differences(outputs[1], transposed.expected), 0);
  }
}

TEST(ConvProgram, ManyCallersAtOnceGetTheSame) {
  const ConvData data = make_data(residual_block());
  ExecutorOptions options;
  options.threads = 2;
  auto executor = Executor::create(residual_program(data), options);
  ASSERT_TRUE(executor.ok()) << executor.status();
  std::vector<std::thread> callers;
  std::vector<int64_t> wrong(4, -1);
  for (size_t caller = 0; caller < wrong.size(); ++caller) {
    callers.emplace_back([&, caller] {
      int64_t count = 0;
      for (int i = 0; i < 5; ++i) {
        const auto outputs =
            (*executor)->run(std::vector<HostTensor>{data.inputs[0], data.inputs[4]});
        count += outputs.ok() ? differences(outputs->front(), data.expected) : 1;
      }
      wrong[caller] = count;
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong, std::vector<int64_t>(4, 0));
}

TEST(ConvProgram, SignaturesShareWhatWasPacked) {
  ConvCase c = residual_block();
  c.has_other = false;
  c.x_type = DType::kU8;
  const ConvData data = make_data(c);
  ProgramBuilder b;
  const ValueId x = b.input("x", DType::kU8);
  const ValueId weight = b.constant("weight", data.inputs[1]);
  const ValueId multiplier = b.constant("multiplier", data.inputs[2]);
  const ValueId bias = b.constant("bias", data.inputs[3]);
  const Program program =
      b.output({b.step("Conv", {x, weight, multiplier, bias}, data.step.attrs, DType::kI8)});
  auto executor = Executor::create(program);
  ASSERT_TRUE(executor.ok()) << executor.status();
  using Shapes = std::vector<std::vector<int64_t>>;
  const auto small = (*executor)->describe(Shapes{{1, 32, 12, 12}});
  const auto large = (*executor)->describe(Shapes{{4, 32, 15, 9}});
  ASSERT_TRUE(small.ok() && large.ok());
  EXPECT_GE(small->packed_bytes, data.inputs[1].byte_size());
  EXPECT_EQ(small->packed_bytes, large->packed_bytes);
}

}  // namespace
}  // namespace fxq
