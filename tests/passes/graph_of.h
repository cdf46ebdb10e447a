// graph_of: a verified GraphModule from text, for tests that need no golden file.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "fxq/graph/text.h"
#include "fxq/graph/verifier.h"

namespace fxq {

inline GraphModule graph_of(std::string_view text) {
  auto gm = parse_text(text);
  EXPECT_TRUE(gm.ok()) << gm.status();
  if (!gm.ok()) return GraphModule();
  EXPECT_TRUE(verify(*gm).ok()) << verify(*gm);
  return *std::move(gm);
}

// The lines between the braces of the graph's text.
inline std::string body_of(const GraphModule& gm) {
  const std::string text = print_text(gm);
  const size_t begin = text.find("{\n") + 2;
  return text.substr(begin, text.rfind("}\n") - begin);
}

}  // namespace fxq
