// open_block: the TorchScript code behind an opaque node, read into graphs: Ifs and Loops that data
// decide become BlockModules whose bodies are graphs in their turn. Lists that code appends to are
// values: append(xs, x) is xs + [x]; so are tensors that it writes into where nobody else sees
// them.
#pragma once

#include <memory>
#include <set>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/graph/block_module.h"
#include "fxq/graph/opaque_module.h"

namespace fxq {

// Inputs of the node that are tensors and that its code writes into.
std::set<size_t> written_inputs(const OpaqueModule& block);

struct OpenedBlock {
  std::shared_ptr<BlockModule> module;
  std::set<size_t> shown;  // of the written inputs: the result shows them, or may
};

// `inputs`: types of the values that the node is called with; their ranks answer x.dim().
// `owned`: written inputs that nobody else sees meanwhile. If there are any, the block returns
// (result, input, ...), those inputs as they are afterwards; None where nobody can say.
// Unimplemented lists the source lines that can't be read, or says that the code keeps state.
absl::StatusOr<OpenedBlock> open_block(const OpaqueModule& block, const std::vector<Type>& inputs,
                                       const std::set<size_t>& owned = {});

// xs.append(x), where it is a node of its own, as xs + [x]: if nobody reads xs as it was
// afterwards.
void open_appends(Graph& graph);

}  // namespace fxq
