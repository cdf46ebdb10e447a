// QuantPlan: which ops of a float graph run in integers, and which values share one scale. Values
// are joined by union-find over the op table's rules: SharesInput joins the result with operand 0,
// SharesAll joins all operands and the result; every other result stands alone.
// It borrows the graph's nodes and the qconfigs.
#pragma once

#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"
#include "fxq/quant/hybrid.h"
#include "fxq/quant/march.h"
#include "fxq/quant/qconfig.h"
#include "fxq/quant/quant_report.h"

namespace fxq {

// Values of one scale. `observed` are those that get a fake quant, in program order: the ones that
// are not merely moved integers of another member.
struct ScaleGroup {
  std::vector<Node*> observed;
  DType dtype = DType::kI8;
  const QConfig* qconfig = nullptr;
};

struct QuantPlan {
  QuantReport report;
  std::vector<ScaleGroup> groups;  // in order of their first value
  // Ops that run in integers, with their qconfig.
  std::unordered_map<const Node*, const QConfig*> integer_ops;

  bool runs_in_integers(const Node* node) const { return integer_ops.count(node) != 0; }
  // False for an op that runs in integers but returns none (out qconfig, comparisons).
  bool is_integer_value(const Node* node) const;
};

struct QuantPlanOptions {
  March march = March::CPU;
  bool share_cat = false;  // cat gives all its operands one scale: SharesAll
  bool hybrid = false;  // what a march with a BPU lacks runs on the CPU, instead of being an error
  const HybridDict* hybrid_dict = nullptr;  // none: nothing is named
  bool only_report = false;  // what would be an error of the model or its qconfigs is a note
};

// Unimplemented lists all ops that a march with a BPU lacks, unless `hybrid`; InvalidArgument all
// ops on the BPU that read an op whose qconfig has no activation.
absl::StatusOr<QuantPlan> plan_quantization(const GraphModule& gm, const QConfigDict& qconfigs,
                                            const QuantPlanOptions& options);

}  // namespace fxq
