// Optimal string alignment distance, d(i, j) = min of
//   d(i-1, j) + 1, d(i, j-1) + 1, d(i-1, j-1) + cost(a[i], b[j]), d(i-2, j-2) + 1 if a swap fits.
#include "fxq/base/nearest.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "fmt/format.h"
#include "fmt/ranges.h"

namespace fxq {
namespace {

constexpr size_t kMaxListed = 20;
// Names come from users: the quadratic cost must stay small whatever they hold.
constexpr size_t kMaxLength = 200;

char lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

double replace_cost(char a, char b) {
  if (a == b) return 0.0;
  return lower(a) == lower(b) ? 0.5 : 1.0;
}

}  // namespace

double edit_distance(std::string_view a, std::string_view b) {
  a = a.substr(0, kMaxLength);
  b = b.substr(0, kMaxLength);
  std::vector<double> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) above[j] = static_cast<double>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = static_cast<double>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] =
          std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + replace_cost(a[i - 1], b[j - 1])});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, above);
    std::swap(above, row);
  }
  return above[b.size()];
}

std::vector<std::string> nearest_names(std::string_view name, absl::Span<const std::string> known,
                                       size_t limit) {
  std::vector<std::pair<double, size_t>> ranked;
  for (size_t i = 0; i < known.size(); ++i) {
    const double distance = edit_distance(name, known[i]);
    const size_t longer = std::min(kMaxLength, std::max(name.size(), known[i].size()));
    const double allowed = std::max(1.0, static_cast<double>(longer) / 3.0);
    if (distance <= allowed) ranked.emplace_back(distance, i);
  }
  std::sort(ranked.begin(), ranked.end());
  std::vector<std::string> names;
  for (size_t i = 0; i < std::min(limit, ranked.size()); ++i) {
    names.push_back(known[ranked[i].second]);
  }
  return names;
}

std::string did_you_mean(std::string_view name, absl::Span<const std::string> known) {
  const std::vector<std::string> near = nearest_names(name, known);
  if (!near.empty()) {
    return fmt::format("did you mean \"{}\"?", fmt::join(near, "\" or \""));
  }
  if (known.empty()) return "nothing is known here";
  const size_t shown = std::min(known.size(), kMaxListed);
  std::string text = fmt::format("known: {}", fmt::join(known.subspan(0, shown), ", "));
  if (shown < known.size()) text += fmt::format(", and {} more", known.size() - shown);
  return text;
}

}  // namespace fxq
