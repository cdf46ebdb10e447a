// [N] or [N,1] of i8 ... i64, u8, bool -> N int64;      "label\n3\n1\n" -> 3, 1
#include "fxq/data/labels.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <string_view>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "fxq/base/file.h"
#include "fxq/base/status.h"
#include "fxq/data/npy.h"
#include "fxq/data/source.h"

namespace fxq {
namespace {

template <typename T>
std::vector<int64_t> widened(const HostTensor& tensor) {
  const absl::Span<const T> values = tensor.data<T>();
  return {values.begin(), values.end()};
}

absl::StatusOr<std::vector<int64_t>> labels_from_npy(const std::string& path) {
  FXQ_ASSIGN_OR_RETURN(const HostTensor tensor, read_npy(path));
  const std::vector<int64_t>& dims = tensor.dims();
  if (dims.empty() || tensor.numel() != dims[0] || dims[0] == 0) {
    return absl::InvalidArgumentError(
        fmt::format("{}: labels are {}, needed is one class index per sample: an integer type, "
                    "[N] or [N,1]",
                    path, tensor.describe()));
  }
  switch (tensor.dtype()) {
    case DType::kI8:
      return widened<int8_t>(tensor);
    case DType::kU8:
    case DType::kBool:
      return widened<uint8_t>(tensor);
    case DType::kI16:
      return widened<int16_t>(tensor);
    case DType::kI32:
      return widened<int32_t>(tensor);
    case DType::kI64:
      return widened<int64_t>(tensor);
    default:
      return absl::InvalidArgumentError(fmt::format(
          "{}: labels are {}, needed are integers: a.astype('int64')", path, tensor.describe()));
  }
}

std::string_view trimmed(std::string_view line) {
  const size_t begin = line.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return line.substr(begin, line.find_last_not_of(" \t\r") + 1 - begin);
}

bool parse_label(std::string_view text, int64_t* label) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *label);
  return error == std::errc() && end == text.data() + text.size();
}

absl::StatusOr<std::vector<int64_t>> labels_from_text(const std::string& path) {
  FXQ_ASSIGN_OR_RETURN(const std::string text, read_file(path));
  std::vector<int64_t> labels;
  std::vector<std::string> bad;
  int64_t number = 0;
  for (size_t begin = 0; begin < text.size(); ++number) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = trimmed(std::string_view(text).substr(begin, end - begin));
    begin = end + 1;
    int64_t label = 0;
    if (line.empty()) continue;
    if (parse_label(line, &label)) {
      labels.push_back(label);
    } else if (number > 0 && bad.size() < kMaxListed) {
      bad.push_back(fmt::format("line {}: \"{}\"", number + 1, line.substr(0, 40)));
    }
  }
  if (!bad.empty()) {
    return absl::InvalidArgumentError(
        fmt::format("{}: labels need one integer per line:\n  {}", path, fmt::join(bad, "\n  ")));
  }
  if (labels.empty()) return absl::InvalidArgumentError(fmt::format("{}: no labels", path));
  return labels;
}

}  // namespace

absl::StatusOr<std::vector<int64_t>> read_labels(const std::string& path) {
  const std::string extension = std::filesystem::path(path).extension().string();
  if (extension == ".npy") return labels_from_npy(path);
  if (extension == ".csv" || extension == ".txt") return labels_from_text(path);
  return absl::InvalidArgumentError(
      fmt::format("{}: unknown kind of labels; readable are .npy, .csv and .txt", path));
}

}  // namespace fxq
