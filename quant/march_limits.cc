// RANGE(Conv2d, BERNOULLI2, kernel, 1, 7), conv2d with a 9x9 weight -> "kernel size is 9,
// BERNOULLI2 allows 1 to 7"
#include "fxq/quant/march_limits.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

#include "fxq/base/check.h"
#include "fxq/quant/march_measures.h"

namespace fxq {
namespace {

const std::vector<MarchLimit>& rows() {
  static const auto* const all = new std::vector<MarchLimit>{
#define RANGE(family, march, measure, least, most) \
  {#family, March::march, #measure, measures::measure, false, {least, most}},
#define ONE_OF(family, march, measure, ...) \
  {#family, March::march, #measure, measures::measure, true, {__VA_ARGS__}},
#define WITHIN(class_name, march, measure)
#define NUMBER(measure, text)
#define TRUTH(measure, text)
#include "fxq/graph/ops/march_limits.def"
  };
  return *all;
}

struct Exception {
  std::string_view class_name;
  March march;
  std::string_view measure;
};

struct Wording {
  std::string_view measure, text;
  bool is_truth;
};

#define RANGE(family, march, measure, least, most)
#define ONE_OF(family, march, measure, ...)
#define WITHIN(class_name, march, measure) {#class_name, March::march, #measure},
#define NUMBER(measure, text)
#define TRUTH(measure, text)
constexpr Exception kExceptions[] = {
#include "fxq/graph/ops/march_limits.def"
};

#define RANGE(family, march, measure, least, most)
#define ONE_OF(family, march, measure, ...)
#define WITHIN(class_name, march, measure)
#define NUMBER(measure, text) {#measure, text, false},
#define TRUTH(measure, text) {#measure, text, true},
constexpr Wording kWordings[] = {
#include "fxq/graph/ops/march_limits.def"
};

bool allows(const MarchLimit& limit, double value) {
  const std::vector<double>& bounds = limit.bounds;
  if (limit.is_set) return std::find(bounds.begin(), bounds.end(), value) != bounds.end();
  return value >= bounds[0] && value <= bounds[1];
}

const Wording& wording(std::string_view measure) {
  const auto* found = std::find_if(std::begin(kWordings), std::end(kWordings),
                                   [&](const Wording& row) { return row.measure == measure; });
  FXQ_CHECK(found != std::end(kWordings), measure);
  return *found;
}

std::string describe(const MarchLimit& limit, double value, March march) {
  const Wording& said = wording(limit.measure);
  if (said.is_truth) {
    return fmt::format("{}, which {} does not allow", said.text, march_name(march));
  }
  return fmt::format("{} is {:g}, {} allows {}", said.text, value, march_name(march),
                     limit.to_string());
}

// The call is code of a module of torch.nn that the march has whole.
bool is_excepted(const MarchLimit& limit, const Node& node) {
  const std::string_view full = node.owner.class_name;
  if (full.rfind("torch.nn.", 0) != 0) return false;
  const std::string_view name = full.substr(full.rfind('.') + 1);  // npos + 1 is 0
  return std::any_of(std::begin(kExceptions), std::end(kExceptions), [&](const Exception& row) {
    return row.march == limit.march && row.measure == limit.measure && row.class_name == name;
  });
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
    const std::vector<double> values = limit.values(view);
    const auto broken = std::find_if(values.begin(), values.end(),
                                     [&](double value) { return !allows(limit, value); });
    if (broken == values.end() || is_excepted(limit, *view.node())) continue;
    lines.push_back(describe(limit, *broken, march));
  }
  return lines;
}

}  // namespace fxq
