// reason_codes.def as an array, in its order.
#include "fxq/quant/reason_codes.h"

#include <fmt/format.h>

#include <algorithm>

namespace fxq {
namespace {

constexpr ReasonCode kCodes[] = {
#define CODE(code, what, explanation) {#code, what, explanation},
#include "fxq/quant/reason_codes.def"
};

}  // namespace

absl::Span<const ReasonCode> reason_codes() { return kCodes; }

const ReasonCode* find_reason_code(std::string_view code) {
  const auto* found = std::find_if(std::begin(kCodes), std::end(kCodes),
                                   [&](const ReasonCode& row) { return row.code == code; });
  return found == std::end(kCodes) ? nullptr : found;
}

std::string reason_codes_page() {
  std::string text =
      "# Reason codes\n\n"
      "What `fxq check`, `fxq quantize` and the reports of the library give as reasons; `fxq "
      "explain "
      "CODE` prints\none. `E`: why an op is not on the BPU, or not in integers. `W`: worth a "
      "look.\n\n"
      "The table is [quant/reason_codes.def](../quant/reason_codes.def); this page is made of it, "
      "and "
      "a test\ncompares both.\n";
  for (const ReasonCode& row : kCodes) {
    text += fmt::format("\n## {}: {}\n\n{}\n", row.code, row.what, row.explanation);
  }
  return text;
}

}  // namespace fxq
