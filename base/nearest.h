// "Did you mean": the names nearest to one that nobody knows, for every error about an unknown key,
// option, op or file. Pure functions over strings; they own nothing and never fail.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"

namespace fxq {

// Edits (insert, delete, replace, swap of neighbours; case counts half) that turn `a` into `b`.
double edit_distance(std::string_view a, std::string_view b);

// At most `limit` of `known`, nearest first (ties in the order given); names that have little to do
// with `name` are left out, so the answer may be empty.
std::vector<std::string> nearest_names(std::string_view name, absl::Span<const std::string> known,
                                       size_t limit = 3);

// The tail of a message: `did you mean "resize"?`, or, when nothing is near, `known: a, b, c` (the
// first twenty), or `nothing is known here`.
std::string did_you_mean(std::string_view name, absl::Span<const std::string> known);

}  // namespace fxq
