// Both ways share the bytes and keep the other side's owner alive; what is not dense on the CPU is
// copied first.
#include "fxq/graph/tensor_convert.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/scalar_tensor.h>
#include <fmt/format.h>

#include <array>
#include <utility>

namespace fxq {
namespace {

constexpr std::array<std::pair<DType, c10::ScalarType>, kDTypeCount> kPairs{{
    {DType::kF32, c10::ScalarType::Float},
    {DType::kF64, c10::ScalarType::Double},
    {DType::kF16, c10::ScalarType::Half},
    {DType::kBF16, c10::ScalarType::BFloat16},
    {DType::kI8, c10::ScalarType::Char},
    {DType::kU8, c10::ScalarType::Byte},
    {DType::kI16, c10::ScalarType::Short},
    {DType::kI32, c10::ScalarType::Int},
    {DType::kI64, c10::ScalarType::Long},
    {DType::kBool, c10::ScalarType::Bool},
}};

}  // namespace

int scalar_type_number(DType dtype) {
  return static_cast<int>(kPairs[static_cast<size_t>(dtype)].second);
}

std::optional<DType> dtype_from_scalar_type(int number) {
  for (const auto& [dtype, scalar_type] : kPairs) {
    if (static_cast<int>(scalar_type) == number) return dtype;
  }
  return std::nullopt;
}

std::optional<DType> dtype_of(const at::Tensor& tensor) {
  return dtype_from_scalar_type(static_cast<int>(tensor.scalar_type()));
}

absl::StatusOr<HostTensor> to_host_tensor(const at::Tensor& tensor) {
  if (!tensor.defined()) return absl::InvalidArgumentError("an undefined tensor has no bytes");
  const auto dtype = dtype_of(tensor);
  if (!dtype || tensor.is_quantized() || tensor.is_sparse()) {
    return absl::UnimplementedError(
        fmt::format("a {} tensor has no counterpart outside LibTorch", tensor.toString()));
  }
  auto owner = std::make_shared<at::Tensor>(tensor.detach().cpu().contiguous());
  auto* bytes = static_cast<std::byte*>(owner->data_ptr());
  return HostTensor(*dtype, owner->sizes().vec(), bytes, owner);
}

at::Tensor number_tensor(const at::Scalar& number) {
  const bool is_real = !number.isIntegral(/*includeBool=*/true);
  return is_real ? at::scalar_tensor(number) : at::scalar_tensor(number, number.type());
}

at::Tensor to_at_tensor(const HostTensor& tensor) {
  const auto options =
      c10::TensorOptions().dtype(static_cast<c10::ScalarType>(scalar_type_number(tensor.dtype())));
  auto keep = std::make_shared<HostTensor>(tensor);
  return at::from_blob(
      keep->mutable_bytes(), keep->dims(), [keep](void*) {}, options);
}

}  // namespace fxq
