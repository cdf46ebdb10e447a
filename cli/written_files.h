// Said before a long job: what it is to write can be written, and no file that it reads is lost.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace fxq {

// Each of `written` ("" is none) is writable, another file than the rest, and none of `read`, whose
// entries may be "input=path".
absl::Status check_written(const std::vector<std::string>& written,
                           const std::vector<std::string>& read);

}  // namespace fxq
