// The table of all passes by name: what the CLI, golden tests and `FXQ_DISABLE_PASSES` can name.
// One explicit list in registry.cc; it is immutable and lives as long as the process.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "fxq/passes/pass.h"

namespace fxq {

struct PassInfo {
  std::string_view name;
  std::string_view help;  // one line: what it does
  PassFunction run;
  bool is_exact = true;  // keeps every bit of the results; false: rounds differently
};

absl::Span<const PassInfo> pass_table();
// InvalidArgument, with the nearest names, if there is no such pass.
absl::StatusOr<std::unique_ptr<Pass>> make_pass(std::string_view name);
// "modularize, fuse, dce": all unknown names in one error.
absl::StatusOr<std::vector<std::unique_ptr<Pass>>> make_passes(std::string_view comma_separated);

}  // namespace fxq
