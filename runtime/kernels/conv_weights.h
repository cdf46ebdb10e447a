// The weights of a ConvProblem as the kernels need them: output channel outermost, the storage
// shift of an i8 source folded into the bias, and bounds on the sums that say which route is exact.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "fxq/runtime/kernels/conv_problem.h"

namespace fxq::conv {

// [out_channels][in_channels / groups][taps]; of 8-bit weights only. `merged` neighbouring groups
// become one, with zeros where they do not meet.
struct ByteWeights {
  std::vector<int8_t> storage;  // used if the order had to change
  absl::Span<const int8_t> values;
};
ByteWeights canonical_bytes(const ConvProblem& problem, int64_t merged);

// The same of 8- or 16-bit weights, as [taps][in_channels / groups][out_channels], for plain loops.
std::vector<int16_t> tap_major_words(const ConvProblem& problem);

// What a stored source (u8, whatever x is) can sum up to, per output channel.
struct SumBounds {
  std::vector<int64_t> bias;      // with -shift * sum(w), if the shift is folded
  std::vector<int64_t> positive;  // 255 * sum of positive weights
  std::vector<int64_t> negative;  // 255 * sum of -(negative weights)
};
SumBounds sum_bounds(const ConvProblem& problem, absl::Span<const int8_t> weights, bool fold_shift);

// oneDNN's fused kernels add float(bias) to float(sum): exact up to 2^24 each, and harmless beyond
// if such a sum saturates the output anyway.
bool fused_is_exact(const ConvProblem& problem, const SumBounds& bounds);

// Number of addends to split the weights into so that each one's sums stay below 2^24 and, without
// VNNI, its weights within [-64, 64]. 0: sums could pass 2^31, which no 32-bit kernel can hold.
int parts_for_exact_sums(const SumBounds& bounds, int64_t products, bool vnni);

// Addend `part` of `parts`: they add up to `weight`.
int8_t weight_part(int8_t weight, int part, int parts);

}  // namespace fxq::conv
