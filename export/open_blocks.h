// Opaque nodes on their way to ONNX: the TorchScript code behind them becomes BlockModules, whose
// bodies are graphs that the lowerings know how to write.
#pragma once

#include "absl/status/status.h"
#include "fxq/graph/block_module.h"

namespace fxq {

// The block that a node calls; null if it calls something else.
BlockModule* called_block(const GraphModule& gm, const Node& node);

// Opens what can be opened, everywhere; what can't stays an OpaqueModule. Each call gets a block of
// its own, and nodes get names that no other node of the whole model has.
void open_blocks(GraphModule& model);

// Why an opaque node stayed closed; "" if it calls no OpaqueModule.
std::string why_closed(const GraphModule& gm, const Node& node);

// Parameters and constants that a call hands to a block are the bodies' own from here on.
void hand_over_parameters(GraphModule& model);

// Guards go; returns what they assert. InvalidArgument: what sizes decided that are left open.
absl::Status drop_block_guards(GraphModule& model, std::vector<std::string>& asserts);

}  // namespace fxq
