// QConfig: how one op is quantized: a FakeQuantize factory for its output and one for its weight.
// QConfigDict says which op gets which. The get_default_* functions are the API page's.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"
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
// Moving-average min-max (0.01) for activations, per-channel min-max of every batch for weights.
absl::StatusOr<QConfig> get_default_qat_qconfig(const QatQConfigOptions& options = {});
// The same without an activation: for the last op.
absl::StatusOr<QConfig> get_default_qat_out_qconfig(
    std::string_view dtype = "qint8", std::string_view weight_fake_quant = "fake_quant",
    const QKwargs& weight_qkwargs = {}, std::string_view backend = "");

// Priority, in increasing order: global, module_type, module_name, module_qconfig. A qconfig of
// nullopt means: do not quantize what matches. A later entry of a list wins.
struct QConfigDict {
  using Entries = std::vector<std::pair<std::string, std::optional<QConfig>>>;
  std::optional<QConfig> global;
  Entries module_type;     // class names, "torch.nn.modules.conv.Conv2d" or "Conv2d"
  Entries module_name;     // paths: the exact one, else the nearest ancestor
  Entries module_qconfig;  // what Python sets as module.qconfig; paths as above
};

// Answers "which qconfig has this node?" for one model. Functions and methods have their owner's.
class QConfigResolver {
 public:
  QConfigResolver(const GraphModule& gm, const QConfigDict& dict);
  // nullptr: not quantized.
  const QConfig* find(const Node& node) const;
  // InvalidArgument: paths and classes of the dict that no node of the graph has, each with the
  // nearest one.
  absl::Status check_names() const;

 private:
  struct Names {
    std::set<std::string> paths, classes;
  };

  Owner owner_of(const Node& node) const;
  std::string_view class_at(std::string_view path) const;  // "" if unknown
  Names names() const;  // what the graph's nodes can be called by

  const GraphModule& gm_;
  const QConfigDict& dict_;
  std::vector<std::pair<std::string, std::string>> classes_;  // path -> class, sorted by path
};

// True if an op with this qconfig may use quint8 on the march. InvalidArgument for an unknown
// backend, and for "cpu" on a BPU march.
absl::StatusOr<bool> allows_unsigned(const QConfig& qconfig, March march);

}  // namespace fxq
