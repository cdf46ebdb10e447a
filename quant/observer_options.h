// Arguments of observers, by the API page's names, and their defaults. A plain value; validate()
// reports every bad field at once. What a class alone knows (its channel axis) it fills in itself.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "fxq/quant/qdtype.h"

namespace fxq {

enum class QScheme : uint8_t { kPerTensorSymmetric, kPerChannelSymmetric };
std::string_view qscheme_name(QScheme qscheme);  // "per_tensor_symmetric"
// Also "torch.per_tensor_symmetric".
std::optional<QScheme> qscheme_from_name(std::string_view name);

// Of the observer's buffers; scales are always float32, as ATen's kernels want them.
struct FactoryKwargs {
  std::string device = "cpu";
  DType dtype = DType::kF32;  // or kF64
};

struct ObserverOptions {
  // m += c * (batch - m). Unset: 0.01 for moving averages; calibration weighs all batches alike.
  std::optional<double> averaging_constant;
  std::optional<int> ch_axis;      // set: one scale per index of this axis; else per tensor
  DType dtype = DType::kI8;        // kI8, kU8 (never negative), kI16
  std::optional<QScheme> qscheme;  // unset: what ch_axis says
  std::optional<int> quant_min, quant_max;  // unset: the dtype's
  bool reduce_range = false;                // one bit less
  // Min and max of each batch are those of all processes' batches (process_group.h). Of observers
  // that record just these: min_max and the moving averages.
  bool is_sync_quantize = false;
  int channel_len = 1;  // size of per-channel buffers at construction
  FactoryKwargs factory_kwargs;
  // What single classes read.
  double percentile = 99.99;       // percentile: of |x|
  int bins = 2048;                 // percentile, kl, mix: of their histograms of |x|
  double scale = 1.0;              // fixed_scale
  double xmin = -1.0, xmax = 1.0;  // clip
  double std_scale = 3.0;          // clip_std: standard deviations on either side of the mean

  QRange range() const;
  bool has_full_range() const;  // range() is all that the dtype has
  absl::Status validate() const;

 private:
  void check_numbers(std::vector<std::string>& problems) const;
};

}  // namespace fxq
