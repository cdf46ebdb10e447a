// A dense float tensor as rows along dimension 0, for the loops of base/row_math.h; or its product
// with a factor per row, which is made on the way.
#pragma once

#include <ATen/core/TensorBody.h>

#include <optional>

#include "absl/functional/function_ref.h"
#include "absl/types/span.h"
#include "fxq/base/row_math.h"

namespace fxq {

class FloatRows {
 public:
  // None if the tensor is not f32, contiguous, in host memory and of at least one element.
  static std::optional<FloatRows> of(const at::Tensor& tensor);

  size_t count() const { return count_; }
  size_t width() const { return width_; }
  // These rows times `factors`, one for each, in double and rounded once. The factors are borrowed.
  FloatRows scaled(const double* factors) const;
  // Calls work once for each row, on ATen's threads.
  void for_each(absl::FunctionRef<void(size_t row)> work) const;
  // A long row is read by several threads.
  RowRange range(size_t row) const;
  void write(size_t row, absl::Span<float> out) const;
  // round_row of the row.
  void round(size_t row, const RoundTo& to, absl::Span<int8_t> q) const;
  void round(size_t row, const RoundTo& to, absl::Span<int16_t> q) const;

 private:
  FloatRows(const float* data, size_t count, size_t width)
      : data_(data), count_(count), width_(width) {}

  absl::Span<const float> source(size_t row) const { return {data_ + row * width_, width_}; }
  RowRange source_range(size_t row) const;

  const float* data_;
  const double* factors_ = nullptr;
  size_t count_, width_;
};

}  // namespace fxq
