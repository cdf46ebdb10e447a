// A status of its own kind: FailedPrecondition with a payload that main() knows.
#include "absl/strings/cord.h"
#include "fxq/cli/command.h"

namespace fxq {
namespace {

constexpr const char* kPayload = "fxq/gate";

}  // namespace

absl::Status gate_missed(std::string_view message) {
  absl::Status status = absl::FailedPreconditionError(std::string(message));
  status.SetPayload(kPayload, absl::Cord("missed"));
  return status;
}

bool is_gate_missed(const absl::Status& status) { return status.GetPayload(kPayload).has_value(); }

}  // namespace fxq
