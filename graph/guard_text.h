// Texts of guards. Most stand for a decision that capture took for the example inputs, which shaped
// the graph; some only for code that raises unless a condition holds, and then the graph is the
// same either way.
#pragma once

#include <string>
#include <string_view>

#include "fxq/graph/node.h"

namespace fxq {

inline constexpr std::string_view kMustNotRaise = ": must not raise: ";

// "net.py:7", "odd sizes" -> "net.py:7: must not raise: odd sizes"
inline std::string assert_text(const std::string& line, const std::string& what) {
  return line + std::string(kMustNotRaise) + what;
}

// The guard checks what the code asserted, and nothing was decided by it.
inline bool is_assert(const Node& guard) {
  return guard.args().at(1).get<std::string>().find(kMustNotRaise) != std::string::npos;
}

}  // namespace fxq
