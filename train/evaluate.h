// How good a model is on labelled samples. The data is the caller's.
#pragma once

#include "absl/status/statusor.h"
#include "fxq/quant/observed_graph.h"
#include "fxq/train/batch_source.h"

namespace fxq {

// Share of samples whose largest output is their label, as the integer program will have it:
// eval() mode, state VALIDATION. The model's mode and observers are given back.
absl::StatusOr<double> evaluate_top1(ObservedGraphModule& model, BatchSource& data,
                                     int64_t batch = 64);
// Of a float model, which must be in eval() mode.
absl::StatusOr<double> evaluate_top1(const GraphModule& model, BatchSource& data,
                                     int64_t batch = 64);

// Columns of the first output, f32[N,classes]; 0 if it has another form. Runs the first sample,
// with fake quantization as it is: a model that was never calibrated stays so.
absl::StatusOr<int64_t> count_classes(const GraphModule& model, BatchSource& data);
absl::StatusOr<int64_t> count_classes(ObservedGraphModule& model, BatchSource& data);

// Where the model's first parameter is; the CPU without one.
c10::Device device_of(const GraphModule& model);

// Whether every value's fake quantizer has a scale that data or the user has given.
bool is_calibrated(const ObservedGraphModule& model);

}  // namespace fxq
