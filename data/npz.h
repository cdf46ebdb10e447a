// NumPy's .npz files (np.savez, np.savez_compressed) <-> named tensors. Stored members borrow the
// mapped file where they are aligned; deflated ones are inflated. Every member's CRC is checked.
// Errors as in npy.h; all members that are no .npy array are named at once.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "fxq/base/host_tensor.h"

namespace fxq {

struct NamedTensor {
  std::string name;
  HostTensor tensor;
};

// In the archive's order; "x.npy" is named "x".
absl::StatusOr<std::vector<NamedTensor>> read_npz(const std::string& path);

// Atomic, stored; equal tensors give equal bytes. Names must be distinct.
absl::Status write_npz(const std::string& path, absl::Span<const NamedTensor> tensors);

}  // namespace fxq
