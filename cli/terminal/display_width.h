// How many columns of a terminal a UTF-8 text takes, and cutting it to fit. Pure functions; bytes
// that are no UTF-8 count as one column each and never fail.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace fxq {

size_t display_width(std::string_view text);

// `text`, or its beginning and "…" so that it takes at most `width` columns (at least 1).
std::string cut_to_width(std::string_view text, size_t width);

}  // namespace fxq
