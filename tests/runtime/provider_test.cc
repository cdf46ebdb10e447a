// A KernelProvider of the test's own: what the executor promises to providers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "fxq/runtime/data_shapes.h"
#include "fxq/runtime/storage.h"
#include "program_run.h"

namespace fxq {
namespace {

using ::testing::HasSubstr;
using testing::ProgramBuilder;

// "reverse": the elements in reverse row-major order; "fail": always an error; "grow": another
// shape.
class Reverse final : public BoundStep {
 public:
  Reverse(size_t count, size_t size, bool fail) : count_(count), size_(size), fail_(fail) {}
  int slices(int) const override { return 1; }
  absl::Status run_slice(int, int, const StepBuffers& buffers) const override {
    if (fail_) return absl::InvalidArgumentError("index 7 is out of range");
    for (size_t i = 0; i < count_; ++i) {
      std::memcpy(buffers.outputs[0] + i * size_, buffers.inputs[0] + (count_ - 1 - i) * size_,
                  size_);
    }
    return absl::OkStatus();
  }

 private:
  size_t count_, size_;
  bool fail_;
};

// "keep": the positive elements, however many; infer says none.
class Keep final : public BoundStep {
 public:
  Keep(int64_t count, std::vector<int64_t> planned) : count_(count), planned_(std::move(planned)) {}
  int slices(int) const override { return 1; }
  absl::Status run_slice(int, int, const StepBuffers& buffers) const override {
    const float* x = reinterpret_cast<const float*>(buffers.inputs[0]);
    std::vector<float> kept;
    std::copy_if(x, x + count_, std::back_inserter(kept), [](float value) { return value > 0; });
    const std::vector<int64_t> dims{static_cast<int64_t>(kept.size())};
    if (dims != planned_) return results_have_shapes({dims});
    if (!kept.empty()) {
      std::memcpy(buffers.outputs[0], kept.data(), kept.size() * sizeof(float));
    }
    return absl::OkStatus();
  }

 private:
  int64_t count_;
  std::vector<int64_t> planned_;
};

class TestProvider final : public KernelProvider {
 public:
  absl::Status supports(const Step& step) const override {
    return step.attrs.count("op") != 0 ? absl::OkStatus()
                                       : absl::UnimplementedError("has no attribute op");
  }
  absl::StatusOr<std::vector<Desc>> infer(const Step& step, Descs inputs) const override {
    if (std::get<std::string>(step.attrs.at("op")) == "keep") {
      return std::vector<Desc>{tensor_desc(inputs[0].dtype, {0})};
    }
    return std::vector<Desc>{tensor_desc(inputs[0].dtype, inputs[0].dims)};
  }
  absl::StatusOr<std::unique_ptr<BoundStep>> bind(const Step& step, Descs inputs, Descs outputs,
                                                  BindContext&) const override {
    if (std::get<std::string>(step.attrs.at("op")) == "keep") {
      return std::make_unique<Keep>(numel(inputs[0].dims), outputs[0].dims);
    }
    const bool fail = std::get<std::string>(step.attrs.at("op")) == "fail";
    return std::make_unique<Reverse>(static_cast<size_t>(numel(inputs[0].dims)),
                                     dtype_size(inputs[0].dtype), fail);
  }
};

absl::StatusOr<std::vector<HostTensor>> run(const Program& program, const HostTensor& input) {
  ExecutorOptions options;
  options.provider = std::make_shared<TestProvider>();
  auto executor = Executor::create(program, options);
  if (!executor.ok()) return executor.status();
  return (*executor)->run({input});
}

TEST(ProviderTest, SeesPlainTensorsOfEveryType) {
  for (DType type : {DType::kU8, DType::kI8, DType::kI16, DType::kF32, DType::kI64, DType::kBool}) {
    HostTensor x(type, {2, 3, 4, 5});
    for (size_t i = 0; i < x.byte_size(); ++i) x.mutable_bytes()[i] = std::byte(i % 251);
    ProgramBuilder b;
    const ValueId in = b.input("x", type);
    const ValueId copy = b.step("Identity", {in}, {}, type);
    const ValueId y = b.step("aten", {copy}, {{"op", "reverse"}}, type);
    const auto outputs = run(b.output({y}), x);
    ASSERT_TRUE(outputs.ok()) << outputs.status();
    const auto size = dtype_size(type);
    for (int64_t i = 0; i < x.numel(); ++i) {
      EXPECT_EQ(std::memcmp((*outputs)[0].bytes() + static_cast<size_t>(i) * size,
                            x.bytes() + static_cast<size_t>(x.numel() - 1 - i) * size, size),
                0);
    }
  }
}

// What was computed before is taken over, whatever lies where in the arena of the new signature.
TEST(ProviderTest, DataMayDecideAShape) {
  ProgramBuilder b;
  const ValueId in = b.input("x", DType::kF32);
  const ValueId before = b.step("aten", {in}, {{"op", "reverse"}}, DType::kF32);
  const ValueId kept = b.step("aten", {before}, {{"op", "keep"}}, DType::kF32);
  const ValueId again = b.step("aten", {kept}, {{"op", "reverse"}}, DType::kF32);
  const ValueId fewer = b.step("aten", {again}, {{"op", "keep"}}, DType::kF32);
  const ValueId after = b.step("aten", {before}, {{"op", "reverse"}}, DType::kF32);
  const Program program = b.output({fewer, after});
  ExecutorOptions options;
  options.provider = std::make_shared<TestProvider>();
  auto executor = Executor::create(program, options);
  ASSERT_TRUE(executor.ok()) << executor.status();
  for (const std::vector<float>& values : std::vector<std::vector<float>>{
           {1, -2, 3, 4}, {-1, -2, -3, -4}, {1, 2, 3, 4}, {-1, 2, -3, -4}, {1, -2, 3, 4}}) {
    HostTensor x(DType::kF32, {4});
    std::copy(values.begin(), values.end(), x.mutable_data<float>().begin());
    const auto outputs = (*executor)->run({&x, 1});
    ASSERT_TRUE(outputs.ok()) << outputs.status();
    std::vector<float> positive;
    for (float value : values) {
      if (value > 0) positive.push_back(value);
    }
    ASSERT_EQ((*outputs)[0].numel(), static_cast<int64_t>(positive.size()));
    EXPECT_TRUE(std::equal(positive.begin(), positive.end(), (*outputs)[0].data<float>().begin()));
    EXPECT_TRUE(std::equal(values.begin(), values.end(), (*outputs)[1].data<float>().begin()));
  }
}

TEST(ProviderTest, ItsErrorsNameTheStep) {
  ProgramBuilder b;
  const ValueId in = b.input("x", DType::kF32);
  const Program failing = b.output({b.step("aten", {in}, {{"op", "fail"}}, DType::kF32)});
  EXPECT_THAT(run(failing, HostTensor(DType::kF32, {3})).status().message(),
              HasSubstr("step 'aten0' (aten): index 7 is out of range"));
  const Program missing = b.output({b.step("aten", {in}, {}, DType::kF32)});
  EXPECT_THAT(run(missing, HostTensor(DType::kF32, {3})).status().message(),
              HasSubstr("has no attribute op"));
}

}  // namespace
}  // namespace fxq
