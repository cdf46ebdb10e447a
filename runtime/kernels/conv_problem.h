// ConvProblem: a step of kernel conv, conv_transpose or linear after every check, in one form for
// all three. The contract of these steps:
//   inputs  x (u8, i8 or i16), weight (constant i8 or i16: [O, I/groups, k...], transposed
//           [I, O/groups, k...], linear [O, I]), multiplier (constant f32 [O]),
//           bias (constant i32 [O], optional), other (a tensor like the output, optional)
//   attrs   dtype of the output: "u8", "i8", "i16" or "f32" (default: x's);
//           activation: "", "relu" or "relu6";
//           clip_hi: relu6's 6 in units of the output; other_scale: scale(other) / scale(output);
//           conv and conv_transpose: stride, padding (one a spatial axis, or all begins, then all
//           ends), dilation, groups, output_padding (transposed)
//   result  conv_epilogue.h; an i8 multiplier is s_in * s_w[c] / s_out, an f32 one s_in * s_w[c]
// Constants are borrowed from the program.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "fxq/runtime/kernel.h"
#include "fxq/runtime/kernels/conv_epilogue.h"
#include "fxq/runtime/kernels/conv_geometry.h"

namespace fxq::conv {

enum ConvInput : size_t { kX, kWeight, kMultiplier, kBias, kOther };

struct ConvProblem {
  ConvGeometry geometry;
  Epilogue epilogue;
  DType input = DType::kU8;
  std::vector<int64_t> x_dims;
  std::vector<int64_t> out_dims;
  const HostTensor* weight = nullptr;
  const HostTensor* multiplier = nullptr;
  const HostTensor* bias = nullptr;  // null: none
  // The output is plain f32 [N, C, pixels...], so that channels are not innermost.
  bool channels_first_output = false;
  // Of a linear layer: x (and output, other) of rank 3 to 5 is stored with dim 1 innermost, but
  // rows are needed: its stored matrices of images x (pixels, channels) must be transposed.
  bool transpose_input = false;
  bool transpose_output = false;

  // Names the constant and the form in which it is read, for PackedCache.
  std::string weight_key() const;
  int storage_shift() const { return input == DType::kI8 ? 128 : 0; }
};

absl::StatusOr<ConvProblem> read_conv(const Step& step, Descs inputs, bool transposed);
absl::StatusOr<ConvProblem> read_linear(const Step& step, Descs inputs);

}  // namespace fxq::conv
