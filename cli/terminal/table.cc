// node     ms
// conv1  1.25      width of a column = its widest cell, at most max_width
#include "fxq/cli/terminal/table.h"

#include <algorithm>

#include "fxq/base/check.h"
#include "fxq/cli/terminal/display_width.h"

namespace fxq {
namespace {

std::string clean(std::string_view cell, size_t max_width) {
  std::string text(cell);
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return cut_to_width(text, std::max<size_t>(max_width, 1));
}

std::string padded(const std::string& text, size_t width, Align align) {
  const std::string spaces(width - display_width(text), ' ');
  return align == Align::kRight ? spaces + text : text + spaces;
}

}  // namespace

void Table::add_row(std::vector<std::string> cells) {
  FXQ_CHECK(cells.size() <= columns_.size(), "a row has more cells than the table has columns");
  cells.resize(columns_.size());
  for (size_t c = 0; c < cells.size(); ++c) cells[c] = clean(cells[c], columns_[c].max_width);
  rows_.push_back(std::move(cells));
}

std::string Table::render() const {
  std::vector<std::string> titles;
  std::vector<size_t> widths;
  for (size_t c = 0; c < columns_.size(); ++c) {
    titles.push_back(clean(columns_[c].title, columns_[c].max_width));
    size_t width = display_width(titles.back());
    for (const auto& row : rows_) width = std::max(width, display_width(row[c]));
    widths.push_back(width);
  }
  std::string text;
  const auto append = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (size_t c = 0; c < cells.size(); ++c) {
      if (c > 0) line += "  ";
      line += padded(cells[c], widths[c], columns_[c].align);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  };
  append(titles);
  for (const auto& row : rows_) append(row);
  return text;
}

}  // namespace fxq
