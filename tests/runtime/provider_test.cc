// A KernelProvider of the test's own: what the executor promises to providers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

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

class TestProvider final : public KernelProvider {
 public:
  absl::Status supports(const Step& step) const override {
    return step.attrs.count("op") != 0 ? absl::OkStatus()
                                       : absl::UnimplementedError("has no attribute op");
  }
  absl::StatusOr<std::vector<Desc>> infer(const Step&, Descs inputs) const override {
    return std::vector<Desc>{tensor_desc(inputs[0].dtype, inputs[0].dims)};
  }
  absl::StatusOr<std::unique_ptr<BoundStep>> bind(const Step& step, Descs inputs, Descs,
                                                  BindContext&) const override {
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
