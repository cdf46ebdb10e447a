// y[row, i] = (float)((double)W[row, i] * factor[row])
#include "fxq/graph/scaled_weight.h"

#include <c10/util/Exception.h>

#include "fxq/base/check.h"
#include "fxq/graph/tensor_slab.h"

namespace fxq {
namespace {

// Inference tensors have no version: nobody may write into them.
int64_t version_of(const at::Tensor& tensor) {
  return tensor.is_inference() ? 0 : static_cast<int64_t>(tensor._version());
}

}  // namespace

ScaledWeight::ScaledWeight(const at::Tensor& weight, const at::Tensor& factor)
    : weight_(weight.detach()), factor_(factor.contiguous()), version_(version_of(weight)) {
  FXQ_CHECK(FloatRows::of(weight_).has_value() && factor_.numel() == weight_.size(0),
            "a ScaledWeight has dense rows and a factor for each");
}

void ScaledWeight::check_unchanged() const {
  TORCH_CHECK(version_of(weight_) == version_,
              "a weight was written into after a batch norm was folded over it; fold again, or "
              "copy the model before its weights change");
}

FloatRows ScaledWeight::rows() const {
  check_unchanged();
  return FloatRows::of(weight_)->scaled(factor_.data_ptr<double>());
}

const at::Tensor& ScaledWeight::multiplied() const {
  std::call_once(once_, [&] {
    static TensorSlab slab;
    const FloatRows from = rows();
    at::Tensor product = slab.empty(weight_.sizes(), weight_.scalar_type());
    float* y = product.data_ptr<float>();
    from.for_each([&](size_t row) { from.write(row, {y + row * from.width(), from.width()}); });
    product_ = std::move(product);
  });
  return product_;
}

}  // namespace fxq
