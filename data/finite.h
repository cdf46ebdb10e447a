// NaN and Inf in samples: found quickly, reported fully. Pure functions over tensors.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "fxq/base/host_tensor.h"

namespace fxq {

// NaN and Inf among the elements; 0 for integer types.
int64_t count_not_finite(const HostTensor& tensor);

// OK if all of the first `limit` samples (slices of the first dimension) are finite; else
// InvalidArgument that names `what`, the bad samples and how many values are bad in each.
absl::Status check_finite(const HostTensor& tensor, int64_t limit, const std::string& what);

}  // namespace fxq
