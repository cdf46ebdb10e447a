// y[..., r, c] = x[..., clamp(r - down), clamp(c' - right)], c' = width - 1 - c if mirrored
#include "fxq/train/augment.h"

#include <ATen/ops/empty_like.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include <algorithm>

namespace fxq {
namespace {

// splitmix64: a well mixed function of its argument.
uint64_t mixed(uint64_t z) {
  z += 0x9e3779b97f4a7c15U;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}

at::Tensor places(int64_t size, int64_t shift, bool mirrored, c10::Device device) {
  std::vector<int64_t> from(static_cast<size_t>(size));
  for (int64_t i = 0; i < size; ++i) {
    const int64_t seen = (mirrored ? size - 1 - i : i) - shift;
    from[static_cast<size_t>(i)] = std::clamp<int64_t>(seen, 0, size - 1);
  }
  return at::tensor(from, at::kLong).to(device);
}

at::Tensor moved(const at::Tensor& sample, const Augmentation& by) {
  const at::Tensor rows = places(sample.size(-2), by.down, false, sample.device());
  const at::Tensor columns = places(sample.size(-1), by.right, by.mirrored, sample.device());
  return sample.index_select(-2, rows).index_select(-1, columns);
}

}  // namespace

Augmentation augmentation_of(const TrainOptions& options, int64_t epoch, int64_t sample) {
  const uint64_t place =
      mixed(mixed(static_cast<uint64_t>(options.seed)) + static_cast<uint64_t>(epoch)) +
      static_cast<uint64_t>(sample);
  uint64_t chance = mixed(place);
  const auto choices = static_cast<uint64_t>(2 * options.shift + 1);
  Augmentation by;
  by.mirrored = options.horizontal_flip && (chance & 1U) != 0;
  chance >>= 1U;
  by.down = static_cast<int64_t>(chance % choices) - options.shift;
  by.right = static_cast<int64_t>(chance / choices % choices) - options.shift;
  return by;
}

absl::Status augment(const TrainOptions& options, int64_t epoch, absl::Span<const int64_t> samples,
                     std::vector<c10::IValue>& inputs) {
  if (!options.horizontal_flip && options.shift == 0) return absl::OkStatus();
  for (c10::IValue& input : inputs) {
    const bool fits = input.isTensor() && input.toTensor().dim() >= 3 &&
                      input.toTensor().size(0) == static_cast<int64_t>(samples.size());
    if (!fits) {
      return absl::InvalidArgumentError(
          "horizontal_flip and shift are for pictures: every input must be [N, ..., height, "
          "width]");
    }
    const at::Tensor x = input.toTensor();
    at::Tensor y = at::empty_like(x);
    for (size_t i = 0; i < samples.size(); ++i) {
      const auto at = static_cast<int64_t>(i);
      y.select(0, at).copy_(moved(x.select(0, at), augmentation_of(options, epoch, samples[i])));
    }
    input = y;
  }
  return absl::OkStatus();
}

}  // namespace fxq
