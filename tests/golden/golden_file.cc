// == name: passes [flags]
// for replace_pattern: pattern, "-- by", replacement, "-- in"
// input text
// -->
// expected output
#include "golden_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "fxq/base/file.h"
#include "fxq/base/status.h"

namespace fxq {
namespace {

namespace fs = std::filesystem;

constexpr const char* kReplacePattern = "replace_pattern";

const std::set<std::string>& known_flags() {
  static const auto* flags =
      new std::set<std::string>{"exact", "no-run", "annotations", "ignore-literals", "new-values"};
  return *flags;
}

std::string trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(" \t\n");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t\n") - first + 1);
}

absl::Status read_flags(const std::string& text, GoldenCase& result) {
  std::istringstream stream(text);
  for (std::string flag; std::getline(stream, flag, ',');) {
    flag = trimmed(flag);
    if (known_flags().count(flag) == 0) {
      return absl::InvalidArgumentError(
          fmt::format("unknown flag '{}' (known: {})", flag, fmt::join(known_flags(), ", ")));
    }
    result.flags.insert(flag);
  }
  return absl::OkStatus();
}

absl::StatusOr<GoldenCase> read_header(const std::string& line) {
  GoldenCase result;
  const size_t colon = line.find(':');
  if (colon == std::string::npos) return absl::InvalidArgumentError("expected '== name: passes'");
  result.name = trimmed(line.substr(2, colon - 2));
  std::string rest = trimmed(line.substr(colon + 1));
  if (!rest.empty() && rest.back() == ']') {
    const size_t open = rest.find('[');
    if (open == std::string::npos) return absl::InvalidArgumentError("a ']' without '['");
    FXQ_RETURN_IF_ERROR(read_flags(rest.substr(open + 1, rest.size() - open - 2), result));
    rest = trimmed(rest.substr(0, open));
  }
  result.passes = rest;
  if (result.name.empty() || rest.empty()) {
    return absl::InvalidArgumentError("expected '== name: passes'");
  }
  return result;
}

std::string block(const std::string& text) {
  const std::string body = trimmed(text);
  return body.empty() ? "" : body + "\n";
}

absl::StatusOr<GoldenFile> read_cases(const std::string& path, const std::string& relative) {
  FXQ_ASSIGN_OR_RETURN(const std::string content, read_file(path));
  GoldenFile file{path, "", {}};
  std::string* target = &file.preamble;
  std::istringstream stream(content);
  int number = 0;
  for (std::string line; std::getline(stream, line);) {
    ++number;
    if (line.rfind("== ", 0) == 0) {
      auto header = read_header(line);
      if (!header.ok()) {
        return absl::InvalidArgumentError(
            fmt::format("{}:{}: {}", relative, number, std::string(header.status().message())));
      }
      file.cases.push_back(*std::move(header));
      file.cases.back().file = relative;
      file.cases.back().line = number;
      GoldenCase& golden = file.cases.back();
      target = golden.passes == kReplacePattern ? &golden.pattern : &golden.input;
    } else if (line == "-- by" && !file.cases.empty()) {
      target = &file.cases.back().replacement;
    } else if (line == "-- in" && !file.cases.empty()) {
      target = &file.cases.back().input;
    } else if (line == "-->" && !file.cases.empty()) {
      target = &file.cases.back().expected;
    } else {
      *target += line + "\n";
    }
  }
  file.preamble = block(file.preamble);
  for (GoldenCase& golden : file.cases) {
    golden.pattern = block(golden.pattern);
    golden.replacement = block(golden.replacement);
    golden.input = block(golden.input);
    golden.expected = block(golden.expected);
  }
  return file;
}

}  // namespace

absl::StatusOr<std::vector<GoldenFile>> read_golden_files(const std::string& folder) {
  std::vector<std::string> paths;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.path().extension() == ".golden") paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<GoldenFile> files;
  for (const std::string& path : paths) {
    FXQ_ASSIGN_OR_RETURN(GoldenFile file, read_cases(path, fs::relative(path, folder).string()));
    files.push_back(std::move(file));
  }
  return files;
}

std::string golden_file_text(const GoldenFile& file) {
  std::string text = file.preamble;
  for (const GoldenCase& golden : file.cases) {
    const std::string flags =
        golden.flags.empty() ? "" : fmt::format(" [{}]", fmt::join(golden.flags, ", "));
    const std::string replaces =
        golden.pattern.empty()
            ? ""
            : fmt::format("{}-- by\n{}-- in\n", golden.pattern, golden.replacement);
    text += fmt::format("{}== {}: {}{}\n{}{}-->\n{}", text.empty() ? "" : "\n", golden.name,
                        golden.passes, flags, replaces, golden.input, golden.expected);
  }
  return text;
}

}  // namespace fxq
