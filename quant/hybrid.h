// Hybrid mode: which ops of a model run on the BPU and which beside it on the CPU, and the rules of
// the boundary between them. CPU ops are those that the march lacks and those that hybrid_dict
// names; they stay float. A CPU op's value that a BPU op reads gets a fake quant of the CPU op's
// qconfig; a BPU op's value that a CPU op reads goes through a dequant_stub. Used by
// plan_quantization and by every prepare function; nothing here keeps state.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "fxq/graph/graph_module.h"
#include "fxq/quant/qconfig_resolver.h"
#include "fxq/quant/quant_report.h"

namespace fxq {

struct QuantPlan;  // quant_plan.h

inline constexpr const char* kBpuDevice = "BPU";
inline constexpr const char* kCpuDevice = "CPU";

// User-specified CPU ops. Both lists only ever add CPU ops; module_name decides first.
struct HybridDict {
  std::vector<std::string> module_type;  // classes of the owner module or any around it
  std::vector<std::string> module_name;  // "a.b" names "a.b" and "a.b.c", never "a.bc"
  bool empty() const { return module_type.empty() && module_name.empty(); }
};

// InvalidArgument, naming `function`: a hybrid_dict without hybrid, hybrid on a march without a
// BPU.
absl::Status check_hybrid_request(bool hybrid, const HybridDict& dict, March march,
                                  const std::string& function);

// The entry of a HybridDict that puts a node on the CPU. Borrows the graph; stays where it is made.
class HybridRules {
 public:
  HybridRules(const GraphModule& gm, const HybridDict& dict);
  HybridRules(const HybridRules&) = delete;
  HybridRules& operator=(const HybridRules&) = delete;
  // `module_name "conv1"`; "" if no entry names the call or, of a fused one, any member.
  std::string rule(const Node& node) const;
  // InvalidArgument: names that the model does not have, each with the nearest one.
  absl::Status check_names() const;

 private:
  QConfigDict dict_;
  std::optional<QConfigResolver> resolver_;  // none: no entries
};

// "%y (selu) in 'act' at net.py:12"
std::string describe_call(const Node& node);

// Unimplemented: all ops of the report that only a CPU runs, with source, code and reason; OK if
// there are none but those whose qconfig is null.
absl::Status refuse_cpu_ops(const QuantReport& report, March march);

// The op that computes a value: through identities, parts of lists and DeQuantStubs.
const Node* producer_of(const Node* value);

// The end of every prepare function, when the fake quants are in their places: in a hybrid model
// `%v_dequant = dequant_stub(%v)` between each integer value and its readers on the CPU; on a march
// with a BPU, Node::device of every op.
void place_on_devices(GraphModule& gm, const QuantPlan& plan, March march, bool hybrid);
// Takes those dequant_stubs out again, for preparing a prepared model anew.
void remove_dequant_stubs(GraphModule& gm);
// Writes Node::device of every op of the plan.
void mark_devices(GraphModule& gm, const QuantPlan& plan);
// True if some op runs on the CPU beside a BPU: the graph's devices say so.
bool is_hybrid(const GraphModule& gm);

}  // namespace fxq
