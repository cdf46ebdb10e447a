// UTF-8 -> code points -> 0 columns (combining), 2 (East Asian wide, emoji) or 1, by the ranges of
// Unicode's EastAsianWidth.txt that matter.
#include "fxq/cli/terminal/display_width.h"

#include <cstdint>

namespace fxq {
namespace {

struct Range {
  uint32_t first, last;
};

constexpr Range kZero[] = {
    {0x0300, 0x036f}, {0x200b, 0x200f}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfeff, 0xfeff}};
constexpr Range kWide[] = {{0x1100, 0x115f}, {0x2e80, 0xa4cf},   {0xac00, 0xd7a3},
                           {0xf900, 0xfaff}, {0xfe30, 0xfe6f},   {0xff00, 0xff60},
                           {0xffe0, 0xffe6}, {0x1f300, 0x1faff}, {0x20000, 0x3fffd}};

template <size_t n>
bool contains(const Range (&ranges)[n], uint32_t point) {
  for (const Range& range : ranges) {
    if (point >= range.first && point <= range.last) return true;
  }
  return false;
}

struct Symbol {
  size_t bytes;
  size_t columns;
};

// The first symbol of a text that is not empty.
Symbol first_symbol(std::string_view text) {
  const auto lead = static_cast<uint8_t>(text[0]);
  const size_t bytes = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (bytes == 1) return {1, 1};
  if (bytes == 0 || lead > 0xf4 || text.size() < bytes) return {1, 1};
  uint32_t point = lead & (0x7fU >> bytes);
  for (size_t i = 1; i < bytes; ++i) {
    const auto next = static_cast<uint8_t>(text[i]);
    if ((next & 0xc0) != 0x80) return {1, 1};
    point = point << 6 | (next & 0x3fU);
  }
  if (contains(kZero, point)) return {bytes, 0};
  return {bytes, contains(kWide, point) ? size_t{2} : size_t{1}};
}

}  // namespace

size_t display_width(std::string_view text) {
  size_t width = 0;
  while (!text.empty()) {
    const Symbol symbol = first_symbol(text);
    width += symbol.columns;
    text.remove_prefix(symbol.bytes);
  }
  return width;
}

std::string cut_to_width(std::string_view text, size_t width) {
  if (display_width(text) <= width) return std::string(text);
  size_t used = 0;
  size_t end = 0;
  while (end < text.size()) {
    const Symbol symbol = first_symbol(text.substr(end));
    if (used + symbol.columns + 1 > width) break;
    used += symbol.columns;
    end += symbol.bytes;
  }
  return std::string(text.substr(0, end)) + "…";
}

}  // namespace fxq
