// Whole files in, whole files out. Reading gives the bytes; writing is all or nothing: a file
// appears under its name only when it is complete and on disk, and a failure leaves what was there
// before. Every error names the path and the system's reason.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace fxq {

absl::StatusOr<std::string> read_file(const std::string& path);

// Temporary file beside the target, fsync, rename. Links are followed. A target that is a device or
// a pipe (/dev/stdout) is written directly.
absl::Status write_file_atomically(const std::string& path, std::string_view content);
// The same for content in pieces, written one after the other.
absl::Status write_file_atomically(const std::string& path,
                                   absl::Span<const std::string_view> pieces);

// What write_file_atomically would refuse before it writes: for programs that work long before they
// write. OK is no promise.
absl::Status check_writable(const std::string& path);

}  // namespace fxq
