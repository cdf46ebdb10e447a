// The integer form of a weighted module: weight i8 (a scale per output channel, or one), bias i32,
// and the factors
// that turn its sums into the output's steps.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/graph/op_module.h"
#include "fxq/graph/type.h"
#include "fxq/quant/fake_quantize.h"

namespace fxq {

struct IntegerWeightsQuestion {
  const OpModule& op;
  const FakeQuantize& weight_fake_quant;
  QParams input;
  DType input_dtype = DType::kI8;
  std::optional<QParams> output;  // none: the op returns floats
};

// Tensors of the result: weight i8 (or i16), weight_scale f32 along the row's channel axis (f32[1]:
// one for all), bias
// i32[C] if there was one, and multiplier f32[C] = (float)(s_in * s_w / s_out), or
// out_scale f32[C] = (float)(s_in * s_w) for float results; products in double.
// A channel whose bias would pass 2^30 gets a larger weight scale; `notes` says so.
// InvalidArgument lists the channels whose sums can pass 2^31.
absl::StatusOr<std::shared_ptr<OpModule>> make_integer_module(
    const IntegerWeightsQuestion& question, std::vector<std::string>& notes);

}  // namespace fxq
