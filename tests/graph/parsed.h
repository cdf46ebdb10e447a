// A graph of text in a test.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "fxq/graph/text.h"
#include "fxq/graph/verifier.h"

namespace fxq::graph_test {

// The text's module, verified; a failure of the test if there is none.
inline GraphModule parsed(const std::string& text, const ParseOptions& options = {}) {
  auto gm = parse_text(text, options);
  EXPECT_TRUE(gm.ok()) << gm.status() << "\n" << text;
  if (!gm.ok()) return GraphModule();
  EXPECT_TRUE(verify(*gm).ok()) << verify(*gm) << "\n" << text;
  return *std::move(gm);
}

}  // namespace fxq::graph_test
