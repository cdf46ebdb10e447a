// Files are the same if their canonical paths are.
#include "fxq/cli/written_files.h"

#include <fmt/format.h>

#include <filesystem>
#include <set>

#include "fxq/base/file.h"
#include "fxq/base/status.h"

namespace fxq {
namespace {

std::string identity(const std::string& path) {
  std::error_code error;
  const auto full = std::filesystem::weakly_canonical(path, error);
  return error ? path : full.string();
}

}  // namespace

absl::Status check_written(const std::vector<std::string>& written,
                           const std::vector<std::string>& read) {
  std::set<std::string> inputs, outputs;
  for (const std::string& file : read) {
    inputs.insert(identity(file));
    const size_t equals = file.find('=');
    if (equals != std::string::npos) inputs.insert(identity(file.substr(equals + 1)));
  }
  for (const std::string& file : written) {
    if (file.empty()) continue;
    if (inputs.count(identity(file)) != 0) {
      return absl::InvalidArgumentError(
          fmt::format("{} is read and would be overwritten; name another file to write", file));
    }
    if (!outputs.insert(identity(file)).second) {
      return absl::InvalidArgumentError(
          fmt::format("{} would be written twice; name a file for each", file));
    }
    FXQ_RETURN_IF_ERROR(check_writable(file));
  }
  return absl::OkStatus();
}

}  // namespace fxq
