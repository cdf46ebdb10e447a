// Transformer: makes a new graph by walking an old one, node by node, as torch.fx's does. Derive
// from it and override what is to become something else; the rest is copied. Modules and tensors
// are shared with the old GraphModule as GraphModule::copy shares them.
//   class NegForAdd : public fxq::Transformer {
//     absl::StatusOr<Argument> call_function(const Node& node, std::vector<Argument> args,
//                                            Kwargs kwargs) override {
//       if (node.op() != OpId::kAdd) return Transformer::call_function(node, args, kwargs);
//       return Argument(graph().call_op(OpId::kNeg, {args[0]}));
//     }
//   };
#pragma once

#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"

namespace fxq {

class Transformer {
 public:
  // `gm` must outlive the transformer.
  explicit Transformer(const GraphModule& gm);
  virtual ~Transformer();

  // A verified new GraphModule; errors name the node whose override returned them. May be called
  // again.
  absl::StatusOr<GraphModule> transform();

 protected:
  // Each returns what stands for the node in the new graph: a node made at its end, an earlier
  // value, or a constant. `args` and `kwargs` are the node's, in values of the new graph.
  virtual absl::StatusOr<Argument> placeholder(const Node& node);
  virtual absl::StatusOr<Argument> get_attr(const Node& node);
  virtual absl::StatusOr<Argument> call_function(const Node& node, std::vector<Argument> args,
                                                 Kwargs kwargs);
  virtual absl::StatusOr<Argument> call_module(const Node& node, std::vector<Argument> args,
                                               Kwargs kwargs);
  virtual absl::StatusOr<Argument> call_method(const Node& node, std::vector<Argument> args,
                                               Kwargs kwargs);
  // The value that the graph returns.
  virtual absl::StatusOr<Argument> output(const Node& node, Argument value);

  GraphModule& graph_module() { return result_; }  // the new one, as far as it is made
  Graph& graph() { return result_.graph(); }
  // What stands for an earlier node of the old graph.
  Argument value(const Node* node) const { return values_.at(node); }

 private:
  absl::StatusOr<Argument> visit(const Node& node);
  Argument copy_of(const Node& node, std::vector<Argument> args, Kwargs kwargs);

  const GraphModule& gm_;
  GraphModule result_;
  std::unordered_map<const Node*, Argument> values_;
};

}  // namespace fxq
