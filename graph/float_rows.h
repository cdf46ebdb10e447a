// A dense float tensor as rows along dimension 0, for the loops of base/row_math.h.
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
  absl::Span<const float> operator[](size_t row) const { return {data_ + row * width_, width_}; }
  // Calls work once for each row, on ATen's threads.
  void for_each(absl::FunctionRef<void(size_t row)> work) const;
  // A long row is read by several threads.
  RowRange range(size_t row) const;

 private:
  FloatRows(const float* data, size_t count, size_t width)
      : data_(data), count_(count), width_(width) {}

  const float* data_;
  size_t count_, width_;
};

}  // namespace fxq
