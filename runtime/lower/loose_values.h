// Values that no program has a place for: lists whose length the data decides, dicts, strings, what
// may be none. They come from TorchScript code and are read by calls; code and calls together, a
// part whose inputs and outputs are tensors and numbers, are one TorchScript module again.
#pragma once

#include <optional>

#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"

namespace fxq {

// `gm` with such parts joined, sharing its tensors; nothing if it has none. Unimplemented names the
// part that cannot be joined: it holds integers, or the model returns such a value itself.
absl::StatusOr<std::optional<GraphModule>> join_loose_values(const GraphModule& gm);

}  // namespace fxq
