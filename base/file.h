// Whole files, read and written in one call. A write is atomic: a temporary file beside the target
// is filled, synced and renamed over it, so that a failure leaves the old file (or none) and never
// half of a new one. Errors name the path and the reason.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace fxq {

absl::StatusOr<std::string> read_file(const std::string& path);

// The file becomes `pieces`, one after the other. The folder must exist.
absl::Status write_file_atomically(const std::string& path,
                                   absl::Span<const std::string_view> pieces);
absl::Status write_file_atomically(const std::string& path, std::string_view bytes);

}  // namespace fxq
