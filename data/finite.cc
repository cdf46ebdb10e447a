// A float is NaN or Inf when all bits of its exponent are set; that needs no arithmetic and holds
// for every float type.
#include "fxq/data/finite.h"

#include <algorithm>
#include <vector>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "fxq/data/source.h"

namespace fxq {
namespace {

struct Count {
  int64_t nan = 0;
  int64_t inf = 0;
  int64_t first = -1;  // index of the first bad element
};

template <typename Bits>
Count count_bits(const HostTensor& tensor, int64_t begin, int64_t end, Bits exponent,
                 Bits mantissa) {
  const Bits* bits = tensor.data<Bits>().data();
  Count count;
  for (int64_t i = begin; i < end; ++i) {
    if ((bits[i] & exponent) != exponent) continue;
    ++((bits[i] & mantissa) != 0 ? count.nan : count.inf);
    if (count.first < 0) count.first = i - begin;
  }
  return count;
}

Count count_range(const HostTensor& tensor, int64_t begin, int64_t end) {
  switch (tensor.dtype()) {
    case DType::kF32:
      return count_bits<uint32_t>(tensor, begin, end, 0x7f800000U, 0x007fffffU);
    case DType::kF64:
      return count_bits<uint64_t>(tensor, begin, end, 0x7ff0000000000000U, 0x000fffffffffffffU);
    case DType::kF16:
      return count_bits<uint16_t>(tensor, begin, end, 0x7c00, 0x03ff);
    case DType::kBF16:
      return count_bits<uint16_t>(tensor, begin, end, 0x7f80, 0x007f);
    default:
      return {};
  }
}

// Index within one sample: 5 of [2,3] is [1,2].
std::vector<int64_t> unravel(int64_t index, const std::vector<int64_t>& dims) {
  std::vector<int64_t> at(dims.size());
  for (size_t d = dims.size(); d-- > 0; index /= dims[d]) at[d] = index % dims[d];
  return at;
}

}  // namespace

int64_t count_not_finite(const HostTensor& tensor) {
  const Count count = count_range(tensor, 0, tensor.numel());
  return count.nan + count.inf;
}

absl::Status check_finite(const HostTensor& tensor, int64_t limit, const std::string& what) {
  if (!is_floating_point(tensor.dtype()) || tensor.numel() == 0) return absl::OkStatus();
  const std::vector<int64_t> sample_dims(tensor.dims().begin() + 1, tensor.dims().end());
  const int64_t sample_size = tensor.numel() / tensor.dims()[0];
  std::vector<std::string> lines;
  size_t bad = 0;
  for (int64_t n = 0; n < std::min(limit, tensor.dims()[0]); ++n) {
    const Count count = count_range(tensor, n * sample_size, (n + 1) * sample_size);
    if (count.first < 0) continue;
    if (++bad > kMaxListed) continue;
    lines.push_back(fmt::format("sample {}: {} NaN, {} Inf, the first at [{}]", n, count.nan,
                                count.inf, fmt::join(unravel(count.first, sample_dims), ",")));
  }
  if (bad == 0) return absl::OkStatus();
  if (bad > kMaxListed) lines.push_back(fmt::format("and {} more samples", bad - kMaxListed));
  return absl::InvalidArgumentError(
      fmt::format("{}: values that are not finite; repair or remove these samples:\n  {}", what,
                  fmt::join(lines, "\n  ")));
}

}  // namespace fxq
