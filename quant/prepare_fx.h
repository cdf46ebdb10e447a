// prepare_calibration_fx: a float graph becomes one that observes its values: fused again, weighted
// modules with a FakeQuantize inside, and a FakeQuantize node "<value>_fq" after every value that
// integers will stand for. The caller's model does not change; buffers are cloned, parameters
// shared.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/quant/hybrid.h"
#include "fxq/quant/march.h"
#include "fxq/quant/observed_graph.h"
#include "fxq/quant/qconfig.h"

namespace fxq {

struct PrepareCustomConfig {
  std::vector<std::string> preserved_attributes;  // accepted; everything is preserved
};

struct PrepareOptions {
  PrepareCustomConfig prepare_custom_config;
  bool optimize_graph = false;  // gives the inputs of each cat one scale
  // Ops that the march lacks, and those that hybrid_dict names, run on the CPU; else the former are
  // an error.
  bool hybrid = false;
  HybridDict hybrid_dict;
  March march = get_march();
  // A model without QuantStubs is quantized at its inputs; off: that is an error.
  bool auto_stubs = true;
};

// Errors name every op or input concerned: FailedPrecondition for a model that is prepared already
// or in train() mode, Unimplemented for ops that a march with a BPU lacks, InvalidArgument for a
// request that makes no sense. What stays float, and why: the result's report.
absl::StatusOr<ObservedGraphModule> prepare_calibration_fx(const GraphModule& model,
                                                           const QConfigDict& qconfig_dict,
                                                           const PrepareOptions& options = {});
// With get_default_calib_qconfig() for everything.
absl::StatusOr<ObservedGraphModule> prepare_calibration_fx(const GraphModule& model,
                                                           const PrepareOptions& options = {});

}  // namespace fxq
