// opcode         name   target              args              kwargs
// call_module    relu   layer1.relu         (%conv1,)         {}
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "fxq/graph/text.h"

namespace fxq {
namespace {

using Row = std::array<std::string, 5>;

Row row_of(const Node& node) {
  std::vector<std::string> kwargs;
  for (const auto& [key, value] : node.kwargs()) {
    kwargs.push_back(fmt::format("{}={}", key, value.to_string()));
  }
  return {std::string(kind_name(node.kind())), node.name(), node.target(),
          Argument::tuple(node.args()).to_string(), fmt::format("{{{}}}", fmt::join(kwargs, ", "))};
}

}  // namespace

std::string print_tabular(const GraphModule& gm) {
  std::vector<Row> rows{{"opcode", "name", "target", "args", "kwargs"}};
  for (const Node* node : gm.graph().nodes()) rows.push_back(row_of(*node));
  std::array<size_t, 5> widths{};
  for (const Row& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const Row& row : rows) {
    for (size_t i = 0; i + 1 < row.size(); ++i) text += fmt::format("{:<{}}  ", row[i], widths[i]);
    text += row.back() + "\n";
  }
  return text;
}

}  // namespace fxq
