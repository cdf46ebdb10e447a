// prepare_calibration_fx, prepare_qat_fx: a float graph becomes one that observes and
// fake-quantizes its values: fused again, weighted modules with a FakeQuantize inside, and a
// FakeQuantize node
// "<value>_fq" after every value that integers will stand for. The caller's model does not change:
// calibration clones buffers and shares parameters, training clones both.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/quant/hybrid.h"
#include "fxq/quant/march.h"
#include "fxq/quant/observed_graph.h"
#include "fxq/quant/qconfig.h"

namespace fxq {

struct PrepareCustomConfig {
  std::vector<std::string> preserved_attributes;  // as FuseCustomConfig's
};

// What becomes of batch norms behind weighted ops in training. FuseBN: they are folded first, and
// the folded weights train. WithBN: they train on, inside of the op, and are folded by convert_fx.
enum class QatMode : uint8_t { FuseBN, WithBN };

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
  // Of prepare_qat_fx. Unset: WithBN for a model in train() mode or one that was fused in it,
  // FuseBN for one in eval() mode.
  std::optional<QatMode> qat_mode;
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

// The result is in train() mode and in the state QAT; its parameters() train with any
// torch::optim. Without a qconfig_dict: get_default_qat_qconfig() for everything. Errors as above;
// the model may be in either mode (in eval() mode what does nothing there, dropout, is gone).
absl::StatusOr<ObservedGraphModule> prepare_qat_fx(const GraphModule& model,
                                                   const QConfigDict& qconfig_dict,
                                                   const PrepareOptions& options = {});
absl::StatusOr<ObservedGraphModule> prepare_qat_fx(const GraphModule& model,
                                                   const PrepareOptions& options = {});
// Goes on from calibration (or from earlier training): the same, and every fake quant of a value
// that had a scale starts from it. With averaging_constant 0 it stays.
absl::StatusOr<ObservedGraphModule> prepare_qat_fx(const ObservedGraphModule& calibrated,
                                                   const QConfigDict& qconfig_dict,
                                                   const PrepareOptions& options = {});
absl::StatusOr<ObservedGraphModule> prepare_qat_fx(const ObservedGraphModule& calibrated,
                                                   const PrepareOptions& options = {});

}  // namespace fxq
