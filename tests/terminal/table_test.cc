// Columns of text with wide and stray bytes.
#include "fxq/cli/terminal/table.h"

#include "fxq/cli/terminal/display_width.h"
#include "gtest/gtest.h"

namespace fxq {
namespace {

TEST(Table, AlignsColumns) {
  Table table({{"node"}, {"ms", Align::kRight}, {"note"}});
  table.add_row({"conv1", "1.25", "première"});
  table.add_row({"層1.0", "12.5"});
  EXPECT_EQ(table.render(),
            "node     ms  note\n"
            "conv1  1.25  première\n"
            "層1.0  12.5\n");
}

TEST(Table, CutsAndCleansCells) {
  Table table({{"text", Align::kLeft, 6}, {"n"}});
  table.add_row({"a\tlong\ncell", "1"});
  EXPECT_EQ(table.render(),
            "text    n\n"
            "a lon…  1\n");
  EXPECT_EQ(table.row_count(), 1U);
}

TEST(Table, ShowsTitlesWithoutRows) { EXPECT_EQ(Table({{"a"}, {"b"}}).render(), "a  b\n"); }

TEST(DisplayWidth, CountsColumns) {
  EXPECT_EQ(display_width(""), 0U);
  EXPECT_EQ(display_width("Δ ≥ é"), 5U);
  EXPECT_EQ(display_width("e\u0301"), 1U);
  EXPECT_EQ(display_width("模型"), 4U);
  EXPECT_EQ(display_width("🙂"), 2U);
}

TEST(DisplayWidth, CountsStrayBytesOnce) {
  EXPECT_EQ(display_width("\xff\x80\xc3"), 3U);
  EXPECT_EQ(display_width("\xf0\x9f"), 2U);
  EXPECT_EQ(display_width("\xe6 a"), 3U);
}

TEST(CutToWidth, EndsInAnEllipsis) {
  EXPECT_EQ(cut_to_width("abc", 3), "abc");
  EXPECT_EQ(cut_to_width("abcd", 3), "ab…");
  EXPECT_EQ(cut_to_width("模型模", 4), "模…");
  EXPECT_EQ(cut_to_width("ab", 1), "…");
}

}  // namespace
}  // namespace fxq
