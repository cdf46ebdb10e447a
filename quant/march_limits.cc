// RANGE(Conv2d, BERNOULLI2, kernel, 1, 7), conv2d with a 9x9 weight -> "kernel is 9, BERNOULLI2
// allows 1 to 7"
#include "fxq/quant/march_limits.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "fxq/quant/march_measures.h"

namespace fxq {
namespace {

const std::vector<MarchLimit>& rows() {
  static const auto* const all = new std::vector<MarchLimit>{
#define RANGE(family, march, measure, least, most) \
  {#family, March::march, #measure, measures::measure, false, {least, most}},
#define ONE_OF(family, march, measure, ...) \
  {#family, March::march, #measure, measures::measure, true, {__VA_ARGS__}},
#include "fxq/graph/ops/march_limits.def"
  };
  return *all;
}

bool allows(const MarchLimit& limit, double value) {
  const std::vector<double>& bounds = limit.bounds;
  if (limit.is_set) return std::find(bounds.begin(), bounds.end(), value) != bounds.end();
  return value >= bounds[0] && value <= bounds[1];
}

std::string words(std::string_view measure) {
  std::string text(measure);
  std::replace(text.begin(), text.end(), '_', ' ');
  return text;
}

}  // namespace

std::string MarchLimit::to_string() const {
  if (!is_set && bounds[0] == bounds[1]) return fmt::format("{:g} only", bounds[0]);
  if (!is_set) return fmt::format("{:g} to {:g}", bounds[0], bounds[1]);
  if (bounds.size() == 1) return fmt::format("{:g} only", bounds[0]);
  const std::vector<double> first(bounds.begin(), bounds.end() - 1);
  return fmt::format("{:g} or {:g}", fmt::join(first, ", "), bounds.back());
}

absl::Span<const MarchLimit> march_limits() { return rows(); }

std::vector<std::string> broken_limits(March march, const OpView& view) {
  std::vector<std::string> lines;
  const std::string_view family = view.def().limits;
  for (const MarchLimit& limit : rows()) {
    if (limit.march != published_march(march)) continue;
    if (limit.family != "Any" && (family.empty() || limit.family != family)) continue;
    for (const double value : limit.values(view)) {
      if (allows(limit, value)) continue;
      lines.push_back(fmt::format("{} is {:g}, {} allows {}", words(limit.measure), value,
                                  march_name(march), limit.to_string()));
      break;
    }
  }
  return lines;
}

}  // namespace fxq
