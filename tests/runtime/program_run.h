// Inputs for programs from a seed, and run(), which executes one and compares nothing.
#pragma once

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "fxq/runtime/executor.h"
#include "program_builder.h"

namespace fxq::testing {

// Every integer of the type is likely, its ends most of all.
inline HostTensor random_integers(DType dtype, std::vector<int64_t> dims, unsigned seed) {
  HostTensor tensor(dtype, std::move(dims));
  std::mt19937 random(seed);
  const size_t size = dtype_size(dtype);
  for (size_t i = 0; i < tensor.byte_size(); i += size) {
    const unsigned kind = random() % 8;
    const unsigned bits = random();
    for (size_t byte = 0; byte < size; ++byte) {
      const bool top = byte + 1 == size;
      std::byte value{static_cast<uint8_t>(bits >> (8 * byte))};
      if (kind == 0) value = dtype == DType::kU8 || !top ? std::byte{0xff} : std::byte{0x7f};
      if (kind == 1) value = dtype == DType::kU8 || !top ? std::byte{0x00} : std::byte{0x80};
      tensor.mutable_bytes()[i + byte] = value;
    }
  }
  return tensor;
}

inline HostTensor random_floats(std::vector<int64_t> dims, float scale, unsigned seed) {
  HostTensor tensor(DType::kF32, std::move(dims));
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0F, scale);
  for (float& value : tensor.mutable_data<float>()) value = normal(random);
  return tensor;
}

// Element i of an integer tensor in row-major order.
inline int integer_at(const HostTensor& tensor, int64_t i) {
  if (tensor.dtype() == DType::kU8) return tensor.data<uint8_t>()[i];
  if (tensor.dtype() == DType::kI8) return tensor.data<int8_t>()[i];
  return tensor.data<int16_t>()[i];
}

// Of activations.
inline constexpr DType kTypes[] = {DType::kU8, DType::kI8, DType::kI16};

inline std::vector<int> integers(const HostTensor& tensor) {
  std::vector<int> result;
  for (int64_t i = 0; i < tensor.numel(); ++i) result.push_back(integer_at(tensor, i));
  return result;
}

inline std::vector<HostTensor> run(const Program& program, const std::vector<HostTensor>& inputs,
                                   int threads = 1) {
  ExecutorOptions options;
  options.threads = threads;
  auto executor = Executor::create(program, options);
  EXPECT_TRUE(executor.ok()) << executor.status();
  if (!executor.ok()) return {};
  auto outputs = (*executor)->run(inputs);
  EXPECT_TRUE(outputs.ok()) << outputs.status();
  return outputs.ok() ? *std::move(outputs) : std::vector<HostTensor>{};
}

inline absl::Status run_status(const Program& program, const std::vector<HostTensor>& inputs) {
  auto executor = Executor::create(program);
  if (!executor.ok()) return executor.status();
  return (*executor)->run(inputs).status();
}

}  // namespace fxq::testing
