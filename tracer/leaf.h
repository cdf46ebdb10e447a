// A leaf of one op: what a torch.nn module is once its own code is read with everything in place:
// conv2d(input, weight, bias, stride, ...). Hyper-parameters are read from that call by schema
// name, because traced modules have no other record of them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fxq/graph/op_module.h"
#include "fxq/tracer/script_reader.h"

namespace torch::jit {
struct Module;
}

namespace fxq {

struct Leaf {
  std::shared_ptr<OpModule> module;
  std::vector<ValuePtr> inputs;   // the caller's values, in the order of the op's schema
  ValuePtr in_place;              // the caller's value that the module overwrites; else null
  std::optional<size_t> aliased;  // the input whose memory the result may share
};

enum class LeafKind : uint8_t { kOneOp, kSeveralOps, kUncapturable };

// Reads `method` of `module` on its own, first without the example, then with it if there is one
// and the code needs it. Fills `leaf` if the answer is kOneOp.
LeafKind read_leaf(const GraphModule& gm, const torch::jit::Module& module,
                   const std::string& method, const std::vector<ValuePtr>& args,
                   const ReaderOptions& options, Leaf* leaf);

// The same op with the same attributes: a module that is called twice is one module.
bool same_leaf(const LeafModule& a, const OpModule& b);

}  // namespace fxq
