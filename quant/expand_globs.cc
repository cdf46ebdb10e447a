// "head.*" -> "head.fc", "head.relu"
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>

#include "fxq/base/nearest.h"
#include "fxq/quant/float_calls.h"
#include "fxq/quant/qconfig_json.h"

namespace fxq {
namespace {

bool is_glob(std::string_view name) { return name.find_first_of("*?") != std::string_view::npos; }

bool fits(std::string_view glob, std::string_view path) {
  size_t g = 0, p = 0, star = std::string_view::npos, resume = 0;
  while (p < path.size()) {
    if (g < glob.size() && (glob[g] == '?' || (glob[g] != '*' && glob[g] == path[p]))) {
      ++g;
      ++p;
    } else if (g < glob.size() && glob[g] == '*') {
      star = g++;
      resume = p;
    } else if (star != std::string_view::npos) {
      g = star + 1;
      p = ++resume;
    } else {
      return false;
    }
  }
  return glob.find_first_not_of('*', g) == std::string_view::npos;
}

}  // namespace

absl::Status expand_globs(const GraphModule& gm, QConfigDict& dict) {
  const std::set<std::string> paths = FloatCalls(gm).paths();
  std::vector<std::string> problems;
  for (QConfigDict::Entries* entries :
       {&dict.module_name, &dict.module_qconfig, &dict.any_member}) {
    QConfigDict::Entries expanded;
    for (auto& [name, qconfig] : *entries) {
      const size_t before = expanded.size();
      for (const std::string& path : paths) {
        if (is_glob(name) && fits(name, path)) expanded.emplace_back(path, qconfig);
      }
      if (is_glob(name) && fits(name, ""))
        expanded.emplace_back("", qconfig);  // the root's functions
      if (!is_glob(name)) expanded.emplace_back(name, std::move(qconfig));
      if (expanded.size() > before) continue;
      problems.push_back(
          fmt::format("qconfig: no module fits '{}'; {}", name,
                      did_you_mean(name, std::vector<std::string>(paths.begin(), paths.end()))));
    }
    *entries = std::move(expanded);
  }
  if (problems.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format("{}", fmt::join(problems, "\n")));
}

}  // namespace fxq
