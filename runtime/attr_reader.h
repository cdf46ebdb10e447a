// AttrReader: typed access to a step's attributes and inputs. It never fails on the spot: it notes
// each problem (missing, wrong type) and status() names them all at once with the step's name.
// Borrows the step.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "fxq/runtime/program.h"

namespace fxq {

class AttrReader {
 public:
  explicit AttrReader(const Step& step) : step_(step) {}

  // With a default: the attribute may be absent.
  bool boolean(std::string_view name, std::optional<bool> otherwise = std::nullopt);
  int64_t integer(std::string_view name, std::optional<int64_t> otherwise = std::nullopt);
  double number(std::string_view name, std::optional<double> otherwise = std::nullopt);
  double scale(std::string_view name);  // a number that must be positive and finite
  std::string text(std::string_view name, std::optional<std::string> otherwise = std::nullopt);
  std::vector<int64_t> integers(std::string_view name,
                                std::optional<std::vector<int64_t>> otherwise = std::nullopt);
  std::vector<double> numbers(std::string_view name,
                              std::optional<std::vector<double>> otherwise = std::nullopt);
  bool has(std::string_view name) const;

  void complain(std::string problem);
  // InvalidArgument: "step 'conv1' (conv2d): attribute stride is missing; ..."
  absl::Status status() const;

 private:
  template <typename T>
  T read(std::string_view name, std::optional<T> otherwise, std::string_view type);

  const Step& step_;
  std::vector<std::string> problems_;
};

}  // namespace fxq
