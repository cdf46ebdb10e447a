// shapes -> payload of a status -> shapes
#include "fxq/runtime/data_shapes.h"

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace fxq {
namespace {

constexpr const char* kPayload = "fxq/result_shapes";

}  // namespace

// {{2, 3}, {}} is "2,3;": a semicolon between two results.
absl::Status results_have_shapes(const ResultShapes& shapes) {
  absl::Status status = absl::UnimplementedError(
      "the shape of its result depends on the data, and differs each time it runs");
  const std::string text =
      absl::StrJoin(shapes, ";", [](std::string* out, const std::vector<int64_t>& dims) {
        out->append(absl::StrJoin(dims, ","));
      });
  status.SetPayload(kPayload, absl::Cord(text));
  return status;
}

std::optional<ResultShapes> shapes_of_results(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(kPayload);
  if (!payload) return std::nullopt;
  const std::string text(*payload);
  ResultShapes shapes;
  for (const absl::string_view part : absl::StrSplit(text, ';')) {
    std::vector<int64_t> dims;
    for (const absl::string_view number : absl::StrSplit(part, ',', absl::SkipEmpty())) {
      int64_t dim = 0;
      if (!absl::SimpleAtoi(number, &dim)) return std::nullopt;
      dims.push_back(dim);
    }
    shapes.push_back(std::move(dims));
  }
  return shapes;
}

}  // namespace fxq
