// Arguments of observers, by the API page's names, and their defaults. A plain value; validate()
// reports every bad field at once.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "fxq/quant/qdtype.h"

namespace fxq {

enum class QScheme : uint8_t { kPerTensorSymmetric, kPerChannelSymmetric };

struct FactoryKwargs {
  std::string device = "cpu";  // of the buffers, which are float32
};

struct ObserverOptions {
  double averaging_constant = 0.01;  // moving averages: m += c * (batch - m)
  std::optional<int> ch_axis;        // set: one scale per index of this axis; else per tensor
  DType dtype = DType::kI8;          // kI8, kU8 (never negative), kI16
  std::optional<QScheme> qscheme;    // unset: what ch_axis says
  std::optional<int> quant_min, quant_max;  // unset: the dtype's
  bool reduce_range = false;                // one bit less
  bool is_sync_quantize = false;            // all-reduce min and max over the process group
  int channel_len = 1;                      // size of per-channel buffers at construction
  FactoryKwargs factory_kwargs;

  QRange range() const;
  absl::Status validate() const;
};

}  // namespace fxq
