// ReasonCode: every code that reports and checks give, with what it means and what to do. The table
// is reason_codes.def; `fxq explain CODE` prints it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/types/span.h"

namespace fxq {

struct ReasonCode {
  std::string_view code;         // "E001"
  std::string_view what;         // one clause
  std::string_view explanation;  // what it means, and what to do
};

absl::Span<const ReasonCode> reason_codes();
// nullptr if there is no such code.
const ReasonCode* find_reason_code(std::string_view code);
// The page docs/reason-codes.md.
std::string reason_codes_page();

}  // namespace fxq
