// Problems: all faults of one kind, gathered so that a Status can name them all at once. A value;
// keeps the first twenty texts and counts the rest.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace fxq {

class Problems {
 public:
  void add(std::string line);
  bool empty() const { return lines_.empty(); }
  const std::vector<std::string>& lines() const { return lines_; }
  // OK if there are none, else `code` with `heading` (if not empty) and one line per problem.
  absl::Status status(absl::StatusCode code, const std::string& heading = "") const;

 private:
  std::vector<std::string> lines_;
  size_t left_out_ = 0;
};

}  // namespace fxq
