// QuantOpModule: a weighted OpModule (conv, linear) of a prepared graph, with its weight's
// FakeQuantize inside. Text kind "fq_" + the op's name; the FakeQuantize's tensors and arguments
// carry the prefix "weight_fq_".
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "absl/status/statusor.h"
#include "fxq/graph/op_module.h"
#include "fxq/graph/text.h"
#include "fxq/quant/fake_quantize.h"

namespace fxq {

class QuantOpModule : public OpModule {
 public:
  // Shares `op`'s tensors.
  QuantOpModule(const OpModule& op, std::shared_ptr<FakeQuantize> weight_fake_quant);

  const std::shared_ptr<FakeQuantize>& weight_fake_quant() const { return weight_fq_; }
  // Sees to a scale for the weight, which needs no data: nothing, if it has one. The first run does
  // it too. InvalidArgument, naming no one, if the weight holds NaN or infinity.
  absl::Status observe_weight();
  // The float module again; shares the tensors.
  std::shared_ptr<OpModule> without_fake_quant() const;

  c10::IValue call(const std::string& method, std::vector<c10::IValue> inputs) override;
  std::string kind() const override;
  NamedTensors tensors() const override;
  NamedTensors known_tensors() const override;
  NamedAttributes attributes() const override;
  std::shared_ptr<LeafModule> clone_leaf() const override;
  void set_tensor(const std::string& name, at::Tensor tensor) override;

 private:
  std::shared_ptr<FakeQuantize> weight_fq_;
  std::mutex first_run_;  // callers may meet in it
};

// With a scale per output channel if the factory's observer keeps one per channel: the axis and the
// number of channels are the op's. Else one scale for the whole weight.
absl::StatusOr<std::shared_ptr<QuantOpModule>> make_quant_op_module(
    const OpModule& op, const FakeQuantizeFactory& weight);

// Factories for parsing and loading prepared graphs: "fake_quantize", "fq_conv2d", ...
std::map<std::string, ModuleFactory> quant_module_factories();

}  // namespace fxq
