// The report of check_model as text: a table with aligned columns, then what was found.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "fxq/quant/check_model.h"

namespace fxq {
namespace {

constexpr size_t kColumns = 8;
using Cells = std::array<std::string, kColumns>;

Cells cells(const CheckRow& row) {
  return {"%" + row.node, row.op,    row.module, row.source,
          row.device,     row.dtype, row.code,   row.reason};
}

std::string table(const std::vector<CheckRow>& rows) {
  std::vector<Cells> lines{{"node", "op", "module", "source", "device", "dtype", "code", "reason"}};
  for (const CheckRow& row : rows) lines.push_back(cells(row));
  std::array<size_t, kColumns> widths{};
  for (const Cells& line : lines) {
    for (size_t i = 0; i < kColumns; ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  std::string text;
  for (const Cells& line : lines) {
    std::string shown;
    for (size_t i = 0; i < kColumns; ++i) shown += fmt::format("{:<{}}  ", line[i], widths[i]);
    shown.erase(shown.find_last_not_of(' ') + 1);
    text += shown + '\n';
  }
  return text;
}

}  // namespace

std::string CheckReport::to_string() const {
  std::string text = table(rows);
  for (const CheckFinding& finding : findings) {
    text +=
        fmt::format("{} {}\n", finding.code.empty() ? "note:" : finding.code + ":", finding.text);
  }
  text += partitions;
  if (macs > 0) {
    text += fmt::format(
        "MACs {}: {:.1f} % of {:.3f} million{}\n", has_bpu(march) ? "on the BPU" : "in integers",
        100.0 * static_cast<double>(macs_on_bpu) / static_cast<double>(macs),
        static_cast<double>(macs) / 1e6,
        uncounted == 0 ? ""
                       : fmt::format(" that are counted; not those of {} op(s) "
                                     "{}",
                                     uncounted, has_bpu(march) ? "on the CPU" : "in float"));
  }
  text += fmt::format("{}: {}\n", march_name(march), passes ? "passes" : "does not pass");
  for (const std::string& reason : why_not) text += "  " + reason + '\n';
  return text;
}

}  // namespace fxq
