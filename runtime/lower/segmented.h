// SegmentedModel: a converted hybrid graph run as it is divided: every BPU segment as an int8
// Program on the runtime, every CPU segment in float, values copied over the boundaries and the
// copies counted. It gives what the whole QuantizedGraph gives, bit for bit. Owns its segments.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/quant/partition.h"

namespace fxq {

struct SegmentedOptions {
  int threads = 1;
  bool allow_torchscript = false;  // TorchScript parts in CPU segments are code
};

class SegmentedModel {
 public:
  static absl::StatusOr<SegmentedModel> create(const QuantizedGraph& model,
                                               const SegmentedOptions& options = {});
  ~SegmentedModel();
  SegmentedModel(SegmentedModel&&) noexcept;
  SegmentedModel& operator=(SegmentedModel&&) noexcept;

  // Takes and gives what the model does. One call at a time.
  absl::StatusOr<c10::IValue> run(const std::vector<c10::IValue>& inputs);

  // Of the last run: values that went from one segment into another, and their bytes as the
  // boundary holds them (integers where a BPU segment is at one end).
  int64_t copies() const;
  int64_t copied_bytes() const;
  int segments() const;

 private:
  struct State;
  explicit SegmentedModel(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace fxq
