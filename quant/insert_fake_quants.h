// insert_fake_quants: the second half of prepare_calibration_fx and prepare_qat_fx, on a fused
// graph that is the caller's own.
#pragma once

#include "fxq/quant/prepare_fx.h"

namespace fxq {

// Plans, puts a FakeQuantize into weighted modules and behind values, and sets the state: QAT gives
// a graph in train() mode, CALIBRATION one in eval() mode.
absl::StatusOr<ObservedGraphModule> insert_fake_quants(GraphModule fused,
                                                       const QConfigDict& qconfig_dict,
                                                       const PrepareOptions& options,
                                                       FakeQuantState state);

}  // namespace fxq
