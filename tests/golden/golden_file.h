// GoldenFile: the cases of one .golden file, and the way to write accepted outputs back (README.md
// has the format). Plain data; reading checks the format and says the line that breaks it.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace fxq {

struct GoldenCase {
  std::string file;             // path below tests/golden: "fuse/conv.golden"
  int line = 0;                 // of its header
  std::string name;             // "conv_relu"
  std::string passes;           // "modularize, fuse"; "parse": none; "replace_pattern"
  std::set<std::string> flags;  // "exact", "no-run", "annotations", ...
  std::string pattern;          // of replace_pattern; empty otherwise
  std::string replacement;
  std::string input;
  std::string expected;
};

struct GoldenFile {
  std::string path;      // absolute
  std::string preamble;  // comments above the first case
  std::vector<GoldenCase> cases;
};

// All files below `folder`, in the order of their names.
absl::StatusOr<std::vector<GoldenFile>> read_golden_files(const std::string& folder);
std::string golden_file_text(const GoldenFile& file);

}  // namespace fxq
