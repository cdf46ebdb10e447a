// sensitivity(op) = SQNR(float outputs, outputs with only op's fake quants on)
#include "fxq/quant/sensitivity.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "fxq/base/status.h"
#include "fxq/quant/compare.h"
#include "fxq/quant/fake_quantize.h"
#include "fxq/quant/float_calls.h"
#include "fxq/quant/layer_errors.h"
#include "fxq/quant/quant_op_module.h"

namespace fxq {
namespace {

struct Layer {
  const Node* node;
  std::vector<FakeQuantize*> fake_quants;
};

std::vector<Layer> layers_of(const GraphModule& gm) {
  std::vector<Layer> layers;
  for (const Node* node : gm.graph().nodes()) {
    Layer layer{node, {}};
    const auto* op = dynamic_cast<const QuantOpModule*>(gm.op_module(*node));
    if (op) layer.fake_quants.push_back(op->weight_fake_quant().get());
    for (const Node* user : node->users()) {
      if (!user->is(NodeKind::kCallModule)) continue;
      auto* fake_quant = dynamic_cast<FakeQuantize*>(gm.module(user->target()).get());
      if (fake_quant) layer.fake_quants.push_back(fake_quant);
    }
    if (!layer.fake_quants.empty()) layers.push_back(std::move(layer));
  }
  return layers;
}

// The path of a module among the op's members: null for it keeps the whole op in float. Functions
// have only their owner's, which names others too.
std::string name_of(const FloatCalls& calls, const GraphModule& floats, const Node& node) {
  const Node* original = floats.graph().find(node.name());
  if (!original) return "";
  for (const FloatCall* call : calls.members(*original)) {
    if (call->module.path != call->caller.path) return call->module.path;
  }
  return original->is(NodeKind::kCallModule) ? original->target() : "";
}

class OutputError {
 public:
  OutputError(const GraphModule& floats, const Batches& batches) : batches_(batches) {
    for (const auto& batch : batches) expected_.push_back(floats.forward(batch));
  }

  absl::StatusOr<double> sqnr_db(const GraphModule& gm) const {
    ErrorSums sums;
    for (size_t i = 0; i < batches_.size(); ++i) {
      FXQ_RETURN_IF_ERROR(expected_[i].status());
      FXQ_ASSIGN_OR_RETURN(const c10::IValue actual, gm.forward(batches_[i]));
      const std::vector<at::Tensor> a = flatten_tensors(*expected_[i]);
      const std::vector<at::Tensor> b = flatten_tensors(actual);
      for (size_t t = 0; t < std::min(a.size(), b.size()); ++t) {
        if (a[t].is_floating_point() && a[t].sizes() == b[t].sizes()) sums.add(a[t], b[t]);
      }
    }
    return sums.sqnr_db();
  }

 private:
  const Batches& batches_;
  std::vector<absl::StatusOr<c10::IValue>> expected_;
};

absl::Status check_batches(const Batches& batches) {
  if (!batches.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError("sensitivity wants at least one batch of data");
}

}  // namespace

absl::StatusOr<std::vector<LayerSensitivity>> rank_layers(const GraphModule& floats,
                                                          const ObservedGraphModule& observed,
                                                          const Batches& batches) {
  FXQ_RETURN_IF_ERROR(check_batches(batches));
  const at::NoGradGuard no_grad;
  const OutputError error(floats, batches);
  const FloatCalls calls(floats);
  ObservedGraphModule model(observed.graph_module().copy(), observed.report);
  model.graph_module().eval();
  FXQ_RETURN_IF_ERROR(set_fake_quantize(model, FakeQuantState::VALIDATION));
  for (const auto& [path, fake_quant] : model.fake_quants()) fake_quant->enable_fake_quant(false);
  std::vector<LayerSensitivity> ranking;
  for (const Layer& layer : layers_of(model.graph_module())) {
    for (FakeQuantize* fake_quant : layer.fake_quants) fake_quant->enable_fake_quant(true);
    FXQ_ASSIGN_OR_RETURN(const double sqnr, error.sqnr_db(model.graph_module()));
    for (FakeQuantize* fake_quant : layer.fake_quants) fake_quant->enable_fake_quant(false);
    const Node& node = *layer.node;
    std::string op = node.is_call() ? std::string(op_def(node.op()).name) : "input";
    if (node.is_call() && node.op() == OpId::kNone) op = node.target();
    ranking.push_back({node.name(), std::move(op), name_of(calls, floats, node), sqnr});
  }
  std::stable_sort(ranking.begin(), ranking.end(),
                   [](const auto& a, const auto& b) { return a.sqnr_db < b.sqnr_db; });
  return ranking;
}

absl::StatusOr<double> output_sqnr_db(const GraphModule& floats,
                                      const ObservedGraphModule& observed, const Batches& batches) {
  FXQ_RETURN_IF_ERROR(check_batches(batches));
  const at::NoGradGuard no_grad;
  ObservedGraphModule model(observed.graph_module().copy(), observed.report);
  model.graph_module().eval();
  FXQ_RETURN_IF_ERROR(set_fake_quantize(model, FakeQuantState::VALIDATION));
  return OutputError(floats, batches).sqnr_db(model.graph_module());
}

QConfigDict keep_in_float(QConfigDict dict, const std::vector<LayerSensitivity>& ranking,
                          size_t count) {
  for (const LayerSensitivity& layer : ranking) {
    if (count == 0) break;
    if (layer.module.empty()) continue;
    dict.any_member.emplace_back(layer.module, std::nullopt);
    --count;
  }
  return dict;
}

}  // namespace fxq
