// Graph text -> a GraphModule or a Status; a graph prints as text that gives the same graph.
#include "fxq/graph/text.h"

#include "memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fxq;
  ParseOptions small;
  small.most_bytes = 64 << 20;
  const auto gm = parse_text(std::string(reinterpret_cast<const char*>(data), size), small);
  if (!gm.ok()) return 0;
  const std::string text = print_text(*gm);
  const auto again = parse_text(text, small);
  fuzz::require(again.ok(), "what was printed does not parse:\n" + text);
  fuzz::require(print_text(*again) == text, "what was printed parses as something else:\n" + text);
  return 0;
}
