// Table: rows of text with aligned columns, for terminals and logs. A value: filled row by row,
// then rendered. Control characters in cells become spaces, so that no cell breaks the layout.
#pragma once

#include <string>
#include <vector>

namespace fxq {

enum class Align { kLeft, kRight };

struct Column {
  std::string title;
  Align align = Align::kLeft;
  size_t max_width = 60;  // longer cells are cut, ending in "…"
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // Missing cells are empty; cells beyond the last column are an error of the caller (checked).
  void add_row(std::vector<std::string> cells);
  size_t row_count() const { return rows_.size(); }

  // Title line and rows, two spaces between columns, each line ended by '\n', no trailing spaces.
  std::string render() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace fxq
