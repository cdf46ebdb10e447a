// What follows the integer sums of a convolution or linear layer: bias, scale, residual,
// activation, rounding, saturation. These functions are the definition; oneDNN's fused kernels are
// used only where they give the same integers. Floats are rounded once per operation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "fxq/base/dtype.h"

namespace fxq::conv {

struct Epilogue {
  DType output = DType::kU8;                            // kU8, kI8, kI16, kF32
  float low = -std::numeric_limits<float>::infinity();  // 0 after relu and relu6
  float high = std::numeric_limits<float>::infinity();  // 6 / scale after relu6
  bool has_other = false;
  float other_scale = 0;
  DType other = DType::kU8;  // kU8, kI8, kI16; 1-byte ones only if output is 1 byte, and so on

  bool clamps() const { return low > -std::numeric_limits<float>::infinity(); }
};

// Where finished values go, and the residual comes from. Pixel i's channel c is at element
// i * pixel_stride + c * channel_stride of `output`, and of `other`.
struct EpilogueTarget {
  std::byte* output = nullptr;
  const std::byte* other = nullptr;
  int64_t pixel_stride = 0;
  int64_t channel_stride = 1;  // other than 1 only for kF32
};

// sums[i * channels + c] for `pixels` pixels; bias and multiplier have one entry a channel.
void finish(const Epilogue& epilogue, const int32_t* sums, const int32_t* bias,
            const float* multiplier, int64_t pixels, int64_t channels,
            const EpilogueTarget& target);
void finish(const Epilogue& epilogue, const int64_t* sums, const int32_t* bias,
            const float* multiplier, int64_t pixels, int64_t channels,
            const EpilogueTarget& target);

// total[i] += part[i]
void add_sums(int32_t* total, const int32_t* part, int64_t count);

}  // namespace fxq::conv
