// at::Tensor <-> HostTensor, and dtypes between LibTorch's names and ours.
#pragma once

#include <optional>

#include "absl/status/statusor.h"
#include "fxq/base/host_tensor.h"

namespace at {
class Tensor;
}

namespace fxq {

// Row-major; shares the bytes when the tensor is already contiguous on the CPU (the result keeps
// the tensor alive). Unimplemented for dtypes that we have no name for (complex, quantized).
absl::StatusOr<HostTensor> to_host_tensor(const at::Tensor& tensor);
// What torch.tensor makes of a number: i64, bool, or f32 for 1.5.
at::Tensor number_tensor(const at::Scalar& number);
// Shares the bytes with `tensor`.
at::Tensor to_at_tensor(const HostTensor& tensor);

std::optional<DType> dtype_of(const at::Tensor& tensor);
int scalar_type_number(DType dtype);  // c10::ScalarType as a number
std::optional<DType> dtype_from_scalar_type(int number);

}  // namespace fxq
