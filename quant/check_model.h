// check_model: what a march would make of a model, before anything is calibrated: for every op its
// device, width and reason, the partitions between BPU and CPU, how much of the multiplications
// runs on the BPU, what is not fused or shared. Nothing is changed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"
#include "fxq/quant/hybrid.h"
#include "fxq/quant/march.h"
#include "fxq/quant/qconfig.h"

namespace c10 {
struct IValue;
}

namespace fxq {

struct CheckOptions {
  CheckOptions();
  QConfigDict qconfigs;  // at first: get_default_calib_qconfig() for all
  HybridDict hybrid_dict;
};

struct CheckRow {
  std::string node;
  std::string op;      // "conv2d+add+relu"
  std::string module;  // module_of(its node)
  std::string source;  // "model.py:41"
  std::string device;  // "BPU", "CPU"
  std::string dtype;   // "int8", "int16", "float"; "int8->float": high precision output
  std::string code;    // reason_codes.def; "" if there is nothing to say
  std::string reason;
  int64_t macs = 0;
};

struct CheckFinding {
  std::string code;  // "W101"
  std::string node;  // or the module's path
  std::string text;
};

struct CheckReport {
  March march = March::CPU;
  std::vector<CheckRow> rows;          // program order
  std::vector<CheckFinding> findings;  // unfused patterns, shared modules, int16 weights, ...
  std::string partitions;              // Partitions::to_string(), "" without a BPU
  int64_t macs = 0, macs_on_bpu = 0;   // on March::CPU: in integers
  int uncounted = 0;    // ops whose multiplications are not known: code kept whole, LSTMs, ...
  bool passes = false;  // every op on the BPU (March::CPU: in integers), and no error of qconfigs
  std::vector<std::string> why_not;  // why it does not pass

  // The table, findings, partitions, share of MACs and the verdict.
  std::string to_string() const;
};

// `graph`: a float graph (it is fused as prepare does it), a prepared or a converted one, which
// must have been prepared for this march. `inputs`: example inputs, for shapes; empty: the types
// that the graph has. InvalidArgument: another march; names in `options` that the model lacks.
absl::StatusOr<CheckReport> check_model(const GraphModule& graph, March march,
                                        const std::vector<c10::IValue>& inputs,
                                        const CheckOptions& options = {});

}  // namespace fxq
