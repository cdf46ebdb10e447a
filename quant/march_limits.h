// Which published limits of a march a call breaks: kernel sizes, strides, channels, ranks, ... The
// limits are rows of graph/ops/march_limits.def; nothing here knows an op or a march.
#pragma once

#include <string>
#include <vector>

#include "absl/types/span.h"
#include "fxq/graph/view.h"
#include "fxq/quant/march.h"

namespace fxq {

struct MarchLimit {
  std::string_view family;  // a LIMITS cell, or "Any"
  March march;
  std::string_view measure;                      // "kernel"
  std::vector<double> (*values)(const OpView&);  // of a call, as far as they are known
  bool is_set;  // `bounds` are the only values; else least and most
  std::vector<double> bounds;
  std::string to_string() const;  // "1 to 7", "1, 2 or 4"
};

// All rows, in the order of the file.
absl::Span<const MarchLimit> march_limits();

// "kernel size is 9, BERNOULLI2 allows 1 to 7", one line per limit that the call breaks. March::CPU
// has no limits.
std::vector<std::string> broken_limits(March march, const OpView& view);

}  // namespace fxq
