// [C, ...] contiguous float -> C rows of numel / C elements; a scalar is one row.
#include "fxq/graph/float_rows.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

namespace fxq {
namespace {

constexpr int64_t kGrain = 1 << 16;  // elements

RowRange joined(const RowRange& a, const RowRange& b) {
  return {std::min(a.min, b.min), std::max(a.max, b.max), a.is_finite && b.is_finite};
}

}  // namespace

std::optional<FloatRows> FloatRows::of(const at::Tensor& tensor) {
  const bool fits = tensor.scalar_type() == at::kFloat && tensor.device().is_cpu() &&
                    tensor.is_contiguous() && tensor.dim() > 0 && tensor.numel() > 0;
  if (!fits) return std::nullopt;
  return FloatRows(tensor.data_ptr<float>(), static_cast<size_t>(tensor.size(0)),
                   static_cast<size_t>(tensor.numel() / tensor.size(0)));
}

void FloatRows::for_each(absl::FunctionRef<void(size_t row)> work) const {
  const int64_t grain = 1 + kGrain / static_cast<int64_t>(width_);
  at::parallel_for(0, static_cast<int64_t>(count_), grain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) work(static_cast<size_t>(row));
  });
}

FloatRows FloatRows::scaled(const double* factors) const {
  FloatRows result = *this;
  result.factors_ = factors;
  return result;
}

RowRange FloatRows::source_range(size_t row) const {
  const absl::Span<const float> values = source(row);
  const RowRange none{values[0], values[0], true};
  return at::parallel_reduce(
      0, static_cast<int64_t>(width_), kGrain, none,
      [&](int64_t begin, int64_t end, const RowRange& before) {
        return joined(before, range_of_row(values.subspan(static_cast<size_t>(begin),
                                                          static_cast<size_t>(end - begin))));
      },
      joined);
}

// Multiplying and rounding keep the order of values, so the ends of a row stay its ends.
RowRange FloatRows::range(size_t row) const {
  const RowRange range = source_range(row);
  if (!factors_) return range;
  const double factor = factors_[row];
  const auto a = static_cast<float>(static_cast<double>(range.min) * factor);
  const auto b = static_cast<float>(static_cast<double>(range.max) * factor);
  const bool is_finite = range.is_finite && std::isfinite(a) && std::isfinite(b);
  return {std::min(a, b), std::max(a, b), is_finite};
}

void FloatRows::write(size_t row, absl::Span<float> out) const {
  scale_row(source(row), factors_ ? factors_[row] : 1.0, out);
}

void FloatRows::round(size_t row, const RoundTo& to, absl::Span<int8_t> q) const {
  factors_ ? round_scaled_row(source(row), factors_[row], to, q) : round_row(source(row), to, q);
}

void FloatRows::round(size_t row, const RoundTo& to, absl::Span<int16_t> q) const {
  factors_ ? round_scaled_row(source(row), factors_[row], to, q) : round_row(source(row), to, q);
}

}  // namespace fxq
