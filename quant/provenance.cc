// setting calibration = "9f3c..", fxq_version = "0.1.0", quant_format = "1", qconfigs = "{..}"
#include "fxq/quant/provenance.h"

#include <ATen/core/Tensor.h>
#include <fmt/format.h>
#include <torch/version.h>
#include <xxhash.h>

#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "fxq/quant/fake_quantize.h"
#include "fxq/quant/qconfig_json.h"

namespace fxq {

void store_config(const QConfigDict& dict, GraphModule& gm) {
  gm.settings[kQuantFormatSetting] = std::to_string(kQuantFormat);
  gm.settings[kVersionSetting] = FXQ_VERSION;
  gm.settings[kTorchSetting] = TORCH_VERSION;
  gm.settings[kQConfigsSetting] = nlohmann::json::parse(to_json(dict)).dump();
}

// Of values: scales of weights are no matter of data, and are found late.
std::string calibration_fingerprint(const ObservedGraphModule& model) {
  const GraphModule& gm = model.graph_module();
  std::string text;
  for (const std::string& path : gm.module_paths()) {
    const auto fake_quant = std::dynamic_pointer_cast<FakeQuantize>(gm.module(path));
    if (!fake_quant) continue;
    const at::Tensor scale = fake_quant->scale().detach().to(at::kFloat).cpu().contiguous();
    text += fmt::format("{} {} ", path, dtype_name(fake_quant->dtype()));
    text.append(reinterpret_cast<const char*>(scale.data_ptr<float>()),
                static_cast<size_t>(scale.numel()) * sizeof(float));
  }
  return fmt::format("{:016x}", XXH3_64bits(text.data(), text.size()));
}

absl::Status check_quant_format(const GraphModule& gm) {
  const auto entry = gm.settings.find(kQuantFormatSetting);
  int format = 0;
  if (entry == gm.settings.end() || !absl::SimpleAtoi(entry->second, &format)) {
    return absl::OkStatus();  // from before there was a number
  }
  if (format <= kQuantFormat) return absl::OkStatus();
  const auto version = gm.settings.find(kVersionSetting);
  return absl::FailedPreconditionError(
      fmt::format("the model was quantized by fxq {} in form {}; this build reads up to form {}: "
                  "use that fxq or "
                  "a newer one, or quantize the float model again with this one",
                  version == gm.settings.end() ? "?" : version->second, format, kQuantFormat));
}

}  // namespace fxq
