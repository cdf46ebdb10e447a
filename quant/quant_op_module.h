// QuantOpModule: a weighted OpModule (conv, linear) of a prepared graph, with its weight's
// FakeQuantize inside, and the batch norm behind it if that trains on (WithBN). Text kind "fq_" +
// the op's name; the FakeQuantize's tensors and arguments carry the prefix "weight_fq_", the batch
// norm's "bn_".
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "absl/status/statusor.h"
#include "fxq/graph/artifact.h"
#include "fxq/graph/op_module.h"
#include "fxq/graph/text.h"
#include "fxq/quant/fake_quantize.h"

namespace fxq {

class QuantOpModule : public OpModule {
 public:
  // Shares `op`'s tensors. `batch_norm` may be null.
  QuantOpModule(const OpModule& op, std::shared_ptr<FakeQuantize> weight_fake_quant,
                std::shared_ptr<OpModule> batch_norm = nullptr);

  const std::shared_ptr<FakeQuantize>& weight_fake_quant() const { return weight_fq_; }
  const std::shared_ptr<OpModule>& batch_norm() const { return bn_; }
  // Sees to a scale for the weight, which needs no data: nothing, if it has one. The first run does
  // it too. InvalidArgument, naming no one, if the weight holds NaN or infinity.
  absl::Status observe_weight();
  // Gives a scale that only follows the present weight (averaging_constant 1, state QAT) the value
  // that it has after the last step of training. Errors as above.
  absl::Status refresh_weight_scale();
  // The float op of inference: the batch norm folded in; shares the tensors that it can.
  std::shared_ptr<OpModule> folded() const;
  // The float module again, batch norm and all; shares the tensors.
  std::shared_ptr<OpModule> without_fake_quant() const;
  // The norm's statistics stay as they are from now on, also in training mode; false: they move.
  void freeze_bn_stats(bool on);

  c10::IValue call(const std::string& method, std::vector<c10::IValue> inputs) override;
  std::string kind() const override;
  NamedTensors tensors() const override;
  NamedTensors known_tensors() const override;
  NamedAttributes attributes() const override;
  std::shared_ptr<LeafModule> clone_leaf() const override;
  void set_tensor(const std::string& name, at::Tensor tensor) override;

 private:
  struct Weights {
    at::Tensor weight, bias;
  };
  Weights training_weights() const;
  Weights frozen_weights() const;
  c10::IValue run(const Weights& weights, std::vector<c10::IValue> inputs) const;
  absl::Status observe_folded();

  std::shared_ptr<FakeQuantize> weight_fq_;
  std::shared_ptr<OpModule> bn_;
  std::mutex first_run_;  // callers may meet in it
};

// With a scale per output channel if the factory's observer keeps one per channel: the axis and the
// number of channels are the op's. Else one scale for the whole weight. Of a WeightedBnModule: with
// its batch norm.
absl::StatusOr<std::shared_ptr<QuantOpModule>> make_quant_op_module(
    const OpModule& op, const FakeQuantizeFactory& weight);

// The graph of a file at any stage of quantization.
absl::StatusOr<GraphModule> load_quant_graph(const std::string& path, LoadOptions options);

// Factories for parsing and loading prepared graphs: "fake_quantize", "fq_conv2d", ...
std::map<std::string, ModuleFactory> quant_module_factories();

}  // namespace fxq
