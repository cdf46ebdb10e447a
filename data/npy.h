// NumPy's .npy files (format versions 1 to 3) <-> HostTensor. Reading maps the file and borrows its
// bytes where it can: C order and aligned; everything else is copied. Nothing is converted: the
// tensor has the file's element type. Damaged files are DataLoss, sound files that hold something
// else (big-endian, objects, uint16, ...) InvalidArgument that says what to save instead.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fxq/base/host_tensor.h"

namespace fxq {

struct NpyHeader {
  DType dtype = DType::kF32;
  std::vector<int64_t> dims;
  bool fortran_order = false;
  size_t data_offset = 0;  // bytes before the first element
};

// `what` names the bytes in errors: a path, or "a.npz: x.npy".
absl::StatusOr<NpyHeader> parse_npy_header(std::string_view bytes, std::string_view what);

// The array in `bytes`, which `owner` keeps alive; the result may borrow them.
absl::StatusOr<HostTensor> parse_npy(std::string_view bytes, std::string_view what,
                                     std::shared_ptr<const void> owner);

absl::StatusOr<HostTensor> read_npy(const std::string& path);

// Everything before the elements of `tensor` in a .npy file: a multiple of 64 bytes.
absl::StatusOr<std::string> encode_npy_header(const HostTensor& tensor);

// Atomic (base/file.h). bf16 has no NumPy type and is refused.
absl::Status write_npy(const std::string& path, const HostTensor& tensor);

}  // namespace fxq
