// QConfig: how one op is quantized: a FakeQuantize factory for its output and one for its weight.
// QConfigDict says which op gets which. The get_default_* functions are the API page's.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/quant/fake_quantize_options.h"
#include "fxq/quant/march.h"

namespace fxq {

struct QConfig {
  // Without one a weighted op returns its accumulator as floats ("high precision output") and any
  // other op is not quantized.
  std::optional<FakeQuantizeFactory> activation;
  std::optional<FakeQuantizeFactory> weight;  // none: per-channel min-max qint8
  // "cpu": qint8 activations that cannot be negative become quint8. "": what the march does by
  // default (March::CPU: as "cpu"; the BPU marches: never). "bpu": never.
  std::string backend;
};
bool operator==(const QConfig& a, const QConfig& b);

// mse over all batches with equal weight; weights min-max per channel.
absl::StatusOr<QConfig> get_default_calib_qconfig(std::string_view dtype = "qint8",
                                                  const QKwargs& calib_qkwargs = {},
                                                  std::string_view backend = "");

struct QatQConfigOptions {
  std::string dtype = "qint8";
  std::string weight_dtype = "qint8";
  std::string activation_fake_quant = "fake_quant";
  std::string weight_fake_quant = "fake_quant";
  QKwargs activation_qkwargs;
  QKwargs weight_qkwargs;
  std::string backend;
};
// Moving-average min-max (0.01) for activations, per-channel min-max of every batch for weights;
// lsq and pact start from these. A pact activation clips at 6 before it has learned better.
absl::StatusOr<QConfig> get_default_qat_qconfig(const QatQConfigOptions& options = {});
// The same without an activation: for the last op, whose accumulator becomes floats. `dtype` is
// checked and then has nothing to say.
absl::StatusOr<QConfig> get_default_qat_out_qconfig(
    std::string_view dtype = "qint8", std::string_view weight_fake_quant = "fake_quant",
    const QKwargs& weight_qkwargs = {}, std::string_view backend = "");

// Which node has which: qconfig_resolver.h. Priority, in increasing order: global, module_type,
// module_name, module_qconfig, any_member. A qconfig of nullopt means: do not quantize what
// matches. A later entry of a list wins.
struct QConfigDict {
  using Entries = std::vector<std::pair<std::string, std::optional<QConfig>>>;
  std::optional<QConfig> global;
  Entries module_type;     // class names, "torch.nn.modules.conv.Conv2d" or "Conv2d"
  Entries module_name;     // paths: the exact one, else the nearest ancestor
  Entries module_qconfig;  // what Python sets as module.qconfig; paths as above
  // Stronger than all: also where a fused op's last member is another one (fxq quantize --int16).
  Entries any_member;
};

// InvalidArgument if it has no negative integers.
absl::Status check_weight(const FakeQuantizeFactory& weight);

// True if an op with this qconfig may use quint8 on the march. InvalidArgument for an unknown
// backend, and for "cpu" or a dtype of quint8 on a BPU march.
absl::StatusOr<bool> allows_unsigned(const QConfig& qconfig, March march);

}  // namespace fxq
