// step 'conv1' (conv): attribute "stride" is missing; attribute "scale" is text, not a number
#include "fxq/runtime/attr_reader.h"

#include <cmath>

#include "absl/strings/str_join.h"
#include "fmt/format.h"

namespace fxq {

template <typename T>
T AttrReader::read(std::string_view name, std::optional<T> otherwise, std::string_view type) {
  const auto found = step_.attrs.find(std::string(name));
  if (found == step_.attrs.end()) {
    if (otherwise) return *std::move(otherwise);
    complain(fmt::format("attribute {} ({}) is missing", name, type));
    return T{};
  }
  if (const T* value = std::get_if<T>(&found->second)) return *value;
  complain(fmt::format("attribute {} is not {}", name, type));
  return T{};
}

bool AttrReader::boolean(std::string_view name, std::optional<bool> otherwise) {
  return read<bool>(name, otherwise, "a bool");
}

int64_t AttrReader::integer(std::string_view name, std::optional<int64_t> otherwise) {
  return read<int64_t>(name, otherwise, "an int");
}

double AttrReader::number(std::string_view name, std::optional<double> otherwise) {
  return read<double>(name, otherwise, "a float");
}

double AttrReader::scale(std::string_view name) {
  const double value = read<double>(name, std::nullopt, "a float");
  if (has(name) && !(value > 0 && std::isfinite(value))) {
    complain(fmt::format("attribute {} = {} is not a positive number", name, value));
  }
  return value;
}

std::string AttrReader::text(std::string_view name, std::optional<std::string> otherwise) {
  return read<std::string>(name, std::move(otherwise), "a string");
}

std::vector<int64_t> AttrReader::integers(std::string_view name,
                                          std::optional<std::vector<int64_t>> otherwise) {
  return read<std::vector<int64_t>>(name, std::move(otherwise), "a list of ints");
}

std::vector<double> AttrReader::numbers(std::string_view name,
                                        std::optional<std::vector<double>> otherwise) {
  return read<std::vector<double>>(name, std::move(otherwise), "a list of floats");
}

bool AttrReader::has(std::string_view name) const {
  return step_.attrs.count(std::string(name)) != 0;
}

void AttrReader::complain(std::string problem) { problems_.push_back(std::move(problem)); }

absl::Status AttrReader::status() const {
  if (problems_.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("step '{}' ({}): {}", step_.name, step_.kernel, absl::StrJoin(problems_, "; ")));
}

}  // namespace fxq
