// bias' = bias - 128 * sum(w) when x is i8: its stored bytes are q + 128.
#include "fxq/runtime/kernels/conv_weights.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace fxq::conv {
namespace {

constexpr int64_t kFloatExact = int64_t{1} << 24;

// Element of weight tensor for output channel o, input i of its group, and tap.
int64_t weight_index(const ConvGeometry& g, int64_t o, int64_t i, int64_t tap) {
  if (!g.transposed) return (o * g.group_inputs() + i) * g.taps() + tap;
  const int64_t group = o / g.group_outputs();
  const int64_t input = group * g.group_inputs() + i;
  return (input * g.group_outputs() + o % g.group_outputs()) * g.taps() + tap;
}

template <typename T>
std::vector<int16_t> tap_major(const ConvGeometry& g, absl::Span<const T> weights) {
  std::vector<int16_t> words(weights.size());
  size_t at = 0;
  for (int64_t tap = 0; tap < g.taps(); ++tap) {
    for (int64_t i = 0; i < g.group_inputs(); ++i) {
      for (int64_t o = 0; o < g.out_channels; ++o)
        words[at++] = weights[weight_index(g, o, i, tap)];
    }
  }
  return words;
}

}  // namespace

ByteWeights canonical_bytes(const ConvProblem& problem, int64_t merged) {
  const ConvGeometry& g = problem.geometry;
  ByteWeights result;
  const absl::Span<const int8_t> plain = problem.weight->data<int8_t>();
  if (!g.transposed && merged == 1) {
    result.values = plain;
    return result;
  }
  const int64_t row = g.group_inputs() * g.taps();
  result.storage.resize(g.out_channels * row * merged);
  for (int64_t o = 0; o < g.out_channels; ++o) {
    const int64_t block = o / g.group_outputs() % merged;
    int8_t* to = result.storage.data() + (o * merged + block) * row;
    for (int64_t i = 0; i < g.group_inputs(); ++i) {
      for (int64_t tap = 0; tap < g.taps(); ++tap) *to++ = plain[weight_index(g, o, i, tap)];
    }
  }
  result.values = result.storage;
  return result;
}

std::vector<int16_t> tap_major_words(const ConvProblem& problem) {
  if (problem.weight->dtype() == DType::kI8) {
    return tap_major(problem.geometry, problem.weight->data<int8_t>());
  }
  return tap_major(problem.geometry, problem.weight->data<int16_t>());
}

SumBounds sum_bounds(const ConvProblem& problem, absl::Span<const int8_t> weights,
                     bool fold_shift) {
  const size_t channels = problem.geometry.out_channels;
  const size_t products = weights.size() / channels;
  SumBounds bounds{std::vector<int64_t>(channels), std::vector<int64_t>(channels),
                   std::vector<int64_t>(channels)};
  for (size_t c = 0; c < channels; ++c) {
    int64_t positive = 0;
    int64_t negative = 0;
    for (const int8_t w : weights.subspan(c * products, products)) {
      (w > 0 ? positive : negative) += std::abs(w);
    }
    bounds.bias[c] = problem.bias ? problem.bias->data<int32_t>()[c] : 0;
    if (fold_shift) bounds.bias[c] -= problem.storage_shift() * (positive - negative);
    bounds.positive[c] = 255 * positive;
    bounds.negative[c] = 255 * negative;
  }
  return bounds;
}

bool fused_is_exact(const ConvProblem& problem, const SumBounds& bounds) {
  const Epilogue& epilogue = problem.epilogue;
  const bool saturates = epilogue.output == DType::kU8 || epilogue.output == DType::kI8;
  // Beyond this, p + 128 rounds to more than 255 or less than 0 whatever the residual is.
  const double enough = 255 + 128 + 1 + (epilogue.has_other ? 255.0 * epilogue.other_scale : 0.0);
  for (size_t c = 0; c < bounds.bias.size(); ++c) {
    const int64_t bias = std::abs(bounds.bias[c]);
    if (bias > kFloatExact) return false;
    if (bounds.positive[c] <= kFloatExact && bounds.negative[c] <= kFloatExact) continue;
    const double least = static_cast<double>(kFloatExact - bias) * 0.999;  // 0.999: the roundings
    const double multiplier = problem.multiplier->data<float>()[c];
    if (!saturates || !(least * multiplier > enough)) return false;
  }
  return true;
}

int parts_for_exact_sums(const SumBounds& bounds, int64_t products, bool vnni) {
  int64_t most = 0;
  for (size_t c = 0; c < bounds.bias.size(); ++c) {
    most = std::max({most, bounds.positive[c], bounds.negative[c]});
    // A sum and the bias may pass 2^31 one by one (they wrap), but the total must not.
    if (std::max(bounds.positive[c], bounds.negative[c]) >= int64_t{1} << 31) return 0;
  }
  int parts = vnni ? 1 : 2;
  // A part is at most weight / parts + 1, so its sums at most most / parts + 255 * products.
  while (parts < 128 && most / parts + (parts > 1 ? 255 * products : 0) > kFloatExact) ++parts;
  return parts < 128 ? parts : 0;
}

int8_t weight_part(int8_t weight, int part, int parts) {
  return static_cast<int8_t>(weight * (part + 1) / parts - weight * part / parts);
}

}  // namespace fxq::conv
