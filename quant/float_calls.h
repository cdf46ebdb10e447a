// FloatCalls: whose call each value of the float model was, asked after fusion. fuse_fx writes into
// the graph's settings what its nodes can no longer say: the modules that were folded or fused
// away, and the functions that became modules. A plain copy; borrows nothing.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "fxq/graph/graph_module.h"

namespace fxq {

inline constexpr const char* kFloatCallsSetting = "float_calls";

struct FloatCall {
  Owner module;  // the module that was called; of a function, the caller
  Owner caller;  // the module whose code made the call
};

class FloatCalls {
 public:
  // What fuse_fx wrote down, and the graph's own calls.
  explicit FloatCalls(const GraphModule& gm);

  // The float calls that a node stands for, in program order: of a fused node, all its members.
  std::vector<const FloatCall*> members(const Node& node) const;
  const std::map<std::string, FloatCall>& all() const { return calls_; }  // by the value's name
  std::set<std::string> paths() const;  // of all modules and those around them

  // Writes into `fused` the calls that it does not have any more as they were.
  void store(GraphModule& fused) const;

 private:
  std::map<std::string, FloatCall> calls_;
};

}  // namespace fxq
