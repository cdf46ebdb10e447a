// heading:
//   line
//   line
//   ... and N more
#include "fxq/graph/problems.h"

#include <fmt/format.h>

namespace fxq {
namespace {

constexpr size_t kMaxLines = 20;

}  // namespace

void Problems::add(std::string line) {
  if (lines_.size() < kMaxLines) {
    lines_.push_back(std::move(line));
  } else {
    ++left_out_;
  }
}

absl::Status Problems::status(absl::StatusCode code, const std::string& heading) const {
  if (lines_.empty()) return absl::OkStatus();
  std::string text = heading;
  for (const std::string& line : lines_) text += (text.empty() ? "" : "\n") + line;
  if (left_out_ > 0) text += fmt::format("\n... and {} more", left_out_);
  return absl::Status(code, text);
}

}  // namespace fxq
