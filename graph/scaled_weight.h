// ScaledWeight: W * factor per row, multiplied out when somebody first asks. What folding a batch
// norm leaves: a model that is quantized next needs the ranges and the integers of its weights,
// which come from W and the factors without the 100 MB in between. Shared by copies of a module.
#pragma once

#include <ATen/core/TensorBody.h>

#include <mutex>

#include "fxq/graph/float_rows.h"

namespace fxq {

class ScaledWeight {
 public:
  // `weight` has dense rows (FloatRows::of); `factor` is f64 with one value for each.
  ScaledWeight(const at::Tensor& weight, const at::Tensor& factor);

  // (float)((double)W * factor), the same tensor each time; safe from several threads. Throws
  // c10::Error if somebody wrote into W since.
  const at::Tensor& multiplied() const;
  // The rows of the product, which is not made for it. Throws as multiplied() does.
  FloatRows rows() const;
  at::IntArrayRef sizes() const { return weight_.sizes(); }

 private:
  void check_unchanged() const;

  at::Tensor weight_, factor_;
  int64_t version_;  // of W's memory
  mutable std::once_flag once_;
  mutable at::Tensor product_;
};

}  // namespace fxq
