// range = the dtype's, halved by reduce_range; quant_min and quant_max replace either end.
#include "fxq/quant/observer_options.h"

#include <ATen/Context.h>
#include <c10/core/Device.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <limits>

namespace fxq {
namespace {

// Why no buffer can be there; "" if one can.
std::string device_problem(const std::string& name) {
  try {
    const c10::Device device(name);
    const bool present = device.is_cpu() || (device.is_cuda() && at::hasCUDA());
    return present ? "" : fmt::format("factory_kwargs: this LibTorch has no device {}", name);
  } catch (const std::exception&) {
    return fmt::format("factory_kwargs: device '{}' is none of cpu, cuda, cuda:0, ...", name);
  }
}

}  // namespace

std::string_view qscheme_name(QScheme qscheme) {
  return qscheme == QScheme::kPerTensorSymmetric ? "per_tensor_symmetric" : "per_channel_symmetric";
}

std::optional<QScheme> qscheme_from_name(std::string_view name) {
  constexpr std::string_view kModule = "torch.";
  if (name.substr(0, kModule.size()) == kModule) name.remove_prefix(kModule.size());
  for (QScheme qscheme : {QScheme::kPerTensorSymmetric, QScheme::kPerChannelSymmetric}) {
    if (name == qscheme_name(qscheme)) return qscheme;
  }
  return std::nullopt;
}

QRange ObserverOptions::range() const {
  QRange range = range_of(dtype);
  if (reduce_range) range = {range.min / 2, range.max / 2};
  return {quant_min.value_or(range.min), quant_max.value_or(range.max)};
}

bool ObserverOptions::has_full_range() const { return range() == range_of(dtype); }

void ObserverOptions::check_numbers(std::vector<std::string>& problems) const {
  const double c = averaging_constant.value_or(0);
  if (!(c >= 0 && c <= 1)) {
    problems.push_back(fmt::format("averaging_constant {} is outside of 0..1", c));
  }
  if (!(percentile > 0 && percentile <= 100)) {
    problems.push_back(fmt::format("percentile {} is outside of 0..100", percentile));
  }
  constexpr int kFewest = 256, kMost = 1 << 16;
  if (bins < kFewest || bins > kMost) {
    problems.push_back(fmt::format("bins {} is outside of {}..{}", bins, kFewest, kMost));
  }
  if (!(scale > 0 && scale <= std::numeric_limits<float>::max())) {
    problems.push_back(fmt::format("scale {} is no positive, finite number", scale));
  }
  if (!(xmin < xmax)) problems.push_back(fmt::format("xmin {} is not below xmax {}", xmin, xmax));
  if (!(std_scale > 0)) problems.push_back(fmt::format("std_scale {} is not positive", std_scale));
}

absl::Status ObserverOptions::validate() const {
  std::vector<std::string> problems;
  if (!is_quantized_dtype(dtype)) {
    problems.push_back(fmt::format("dtype {} is none of qint8, quint8, qint16", dtype_name(dtype)));
  } else {
    const QRange asked = range();
    const QRange limit = range_of(dtype);
    if (asked.min >= asked.max || asked.min < limit.min || asked.max > limit.max) {
      problems.push_back(
          fmt::format("[quant_min, quant_max] = [{}, {}] is no part of {}'s [{}, {}]", asked.min,
                      asked.max, qdtype_name(dtype), limit.min, limit.max));
    }
  }
  check_numbers(problems);
  if (qscheme && (*qscheme == QScheme::kPerChannelSymmetric) != ch_axis.has_value()) {
    problems.push_back(
        "qscheme contradicts ch_axis: per channel needs an axis, per tensor has none");
  }
  if (factory_kwargs.dtype != DType::kF32 && factory_kwargs.dtype != DType::kF64) {
    problems.push_back(fmt::format("factory_kwargs: buffers are f32 or f64, not {}",
                                   dtype_name(factory_kwargs.dtype)));
  }
  const std::string problem = device_problem(factory_kwargs.device);
  if (!problem.empty()) problems.push_back(problem);
  if (ch_axis && *ch_axis < 0) {
    problems.push_back(fmt::format("ch_axis {} is negative: dimensions count from 0", *ch_axis));
  }
  if (channel_len < 1) problems.push_back(fmt::format("channel_len is {}", channel_len));
  if (problems.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format("{}", fmt::join(problems, "; ")));
}

}  // namespace fxq
