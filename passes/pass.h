// Pass: one rewrite of a GraphModule, in place. It answers "did anything change?" truthfully: a
// pipeline may compare the text before and after. Passes own nothing of the graph and may be run on
// several graphs, one after the other.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"

namespace fxq {

class Pass {
 public:
  virtual ~Pass() = default;
  virtual std::string_view name() const = 0;
  // True if it changed the graph, its modules or its tensors. An error leaves a valid graph behind.
  // What it declined to do, and why, goes to gm.notes.
  virtual absl::StatusOr<bool> run(GraphModule& gm) = 0;
};

// A pass without state is a function; this makes it a Pass.
using PassFunction = absl::StatusOr<bool> (*)(GraphModule& gm);

class FunctionPass final : public Pass {
 public:
  FunctionPass(std::string name, PassFunction function)
      : name_(std::move(name)), function_(function) {}
  std::string_view name() const override { return name_; }
  absl::StatusOr<bool> run(GraphModule& gm) override { return function_(gm); }

 private:
  std::string name_;
  PassFunction function_;
};

}  // namespace fxq
