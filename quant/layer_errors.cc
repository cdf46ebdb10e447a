// Local errors: a graph with quantized weights runs on, but every value is replaced by the float
// model's once it is judged, so that the next op gets the float model's inputs. What the fake quant
// of a value does to it counts where the value is made.
#include "fxq/quant/layer_errors.h"

#include <ATen/core/grad_mode.h>

#include <cmath>
#include <functional>
#include <limits>

#include "fxq/base/status.h"
#include "fxq/graph/interpreter.h"
#include "fxq/quant/compare.h"
#include "fxq/quant/fake_quantize.h"
#include "fxq/quant/float_calls.h"
#include "fxq/quant/quant_op_module.h"
#include "fxq/quant/quant_report.h"

namespace fxq {
namespace {

using Values = std::map<std::string, at::Tensor>;

// Whether activations and weights are fake quantized; observers are off.
void set_flags(const GraphModule& gm, bool activations, bool weights) {
  for (const std::string& path : gm.module_paths()) {
    LeafModule* module = gm.module(path).get();
    auto* fake_quant = dynamic_cast<FakeQuantize*>(module);
    const auto* op = dynamic_cast<QuantOpModule*>(module);
    const bool on = fake_quant ? activations : weights;
    if (op) fake_quant = op->weight_fake_quant().get();
    if (!fake_quant) continue;
    if (fake_quant->observer_enabled()) fake_quant->enable_observer(false);
    fake_quant->enable_fake_quant(on);
  }
}

FakeQuantize* fake_quant_of(const GraphModule& gm, const Node& value) {
  for (const Node* user : value.users()) {
    if (!user->is(NodeKind::kCallModule)) continue;
    auto* fake_quant = dynamic_cast<FakeQuantize*>(gm.module(user->target()).get());
    if (fake_quant) return fake_quant;
  }
  return nullptr;
}

// Shows every value that the float model has too beside it; goes on with the float one if asked.
class Judge : public Interpreter {
 public:
  using See = std::function<void(const Node& node, const at::Tensor& expected, const at::Tensor&)>;
  Judge(const GraphModule& gm, const Values& floats, bool replace, See see)
      : Interpreter(gm), floats_(floats), replace_(replace), see_(std::move(see)) {}

 protected:
  absl::Status on_value(const Node& node, c10::IValue& value) override {
    const auto expected = floats_.find(node.name());
    if (expected == floats_.end() || !value.isTensor()) return absl::OkStatus();
    const at::Tensor tensor = value.toTensor();
    if (!tensor.is_floating_point() || tensor.sizes() != expected->second.sizes()) {
      return absl::OkStatus();
    }
    see_(node, expected->second, tensor);
    if (replace_) value = expected->second;
    return absl::OkStatus();
  }

 private:
  const Values& floats_;
  bool replace_;
  See see_;
};

// The error of a fake quant on the values it was made for: beyond its range, and within.
void split_error(const FakeQuantize& fake_quant, const at::Tensor& x, const at::Tensor& y,
                 double& rounding, double& clipping) {
  const double scale = fake_quant.scale()[0].item<double>();
  const QRange range = fake_quant.range();
  const at::Tensor beyond =
      x.gt((range.max + 0.5) * scale).logical_or(x.lt((range.min - 0.5) * scale));
  const at::Tensor square = (x - y).to(at::kDouble).square();
  const double outside = square.masked_select(beyond).sum().item<double>();
  clipping += outside;
  rounding += square.sum().item<double>() - outside;
}

// Mean over the channels of noise / signal.
double channel_noise(const at::Tensor& weight, const at::Tensor& scale, int64_t axis,
                     QRange range) {
  const at::Tensor rows = weight.detach().transpose(0, axis).reshape({weight.size(axis), -1});
  const at::Tensor step = scale.reshape({-1, 1});
  const at::Tensor q = (rows / step).round().clamp(range.min, range.max) * step;
  const at::Tensor signal = rows.square().sum(1).clamp_min(1e-30);
  return ((rows - q).square().sum(1) / signal).mean().item<double>();
}

double per_tensor_loss(const QuantOpModule& op) {
  const FakeQuantize& fake_quant = *op.weight_fake_quant();
  if (fake_quant.options().observer_kwargs.ch_axis) return 0;
  const OpDef& def = op_def(op.op());
  const at::Tensor weight = op.tensor(def.weight).detach();
  const QRange range = fake_quant.range();
  const at::Tensor largest = weight.abs()
                                 .transpose(0, def.channel_axis)
                                 .reshape({weight.size(def.channel_axis), -1})
                                 .amax({1});
  const at::Tensor each = (largest / range.half_width()).clamp_min(1e-12);
  const double one = channel_noise(weight, fake_quant.scale(), def.channel_axis, range);
  const double per_channel = channel_noise(weight, each, def.channel_axis, range);
  if (one <= per_channel || per_channel <= 0) return 0;
  return 10 * std::log10(one / per_channel);
}

}  // namespace

void ErrorSums::add(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor x = a.detach().to(at::kDouble), y = b.detach().to(at::kDouble);
  reference += x.square().sum().item<double>();
  test += y.square().sum().item<double>();
  product += (x * y).sum().item<double>();
  noise += (x - y).square().sum().item<double>();
}

double ErrorSums::sqnr_db() const {
  if (noise == 0) return std::numeric_limits<double>::infinity();
  return 10 * std::log10(reference / noise);
}

double ErrorSums::cosine() const {
  const double lengths = std::sqrt(reference) * std::sqrt(test);
  if (lengths > 0) return product / lengths;
  return reference == test ? 1 : 0;
}

std::string_view cause_name(ErrorCause cause) {
  switch (cause) {
    case ErrorCause::kRounding:
      return "ROUNDING";
    case ErrorCause::kClipping:
      return "CLIPPING";
    case ErrorCause::kWeights:
      return "WEIGHTS";
    case ErrorCause::kNone:
      break;
  }
  return "";
}

LayerComparison::LayerComparison(const GraphModule& floats, const ObservedGraphModule& observed,
                                 const QuantizedGraph& quantized)
    : floats_(floats),
      quantized_(quantized),
      fake_(observed.graph_module().copy()),
      weights_only_(observed.graph_module().copy()) {
  fake_.eval();
  weights_only_.eval();
  set_flags(fake_, /*activations=*/true, /*weights=*/true);
  set_flags(weights_only_, /*activations=*/false, /*weights=*/true);
}

absl::Status LayerComparison::add(const std::vector<c10::IValue>& inputs) {
  const at::NoGradGuard no_grad;
  FXQ_ASSIGN_OR_RETURN(const Values floats, record_values(floats_, inputs));
  Judge accumulated(fake_, floats, false, [&](const Node& node, const auto& x, const auto& y) {
    const FakeQuantize* fake_quant = fake_quant_of(fake_, node);
    sums_[node.name()].fake.add(x, fake_quant ? fake_quant->quantized(y) : y);
  });
  FXQ_RETURN_IF_ERROR(accumulated.run(inputs).status());
  Judge local(weights_only_, floats, true, [&](const Node& node, const auto& x, const auto& y) {
    Sums& sums = sums_[node.name()];
    sums.weight.add(x, y);
    const FakeQuantize* fake_quant = fake_quant_of(weights_only_, node);
    sums.local.add(x, fake_quant ? fake_quant->quantized(y) : y);
    if (!fake_quant) return;
    split_error(*fake_quant, x, fake_quant->quantized(x), sums.rounding, sums.clipping);
  });
  FXQ_RETURN_IF_ERROR(local.run(inputs).status());
  FXQ_ASSIGN_OR_RETURN(const Values integers, record_values(quantized_.graph_module(), inputs));
  for (const auto& [name, value] : integers) {
    const auto expected = floats.find(name);
    if (expected == floats.end() || expected->second.sizes() != value.sizes()) continue;
    if (!value.is_floating_point()) continue;
    Sums& sums = sums_[name];
    sums.integers.add(expected->second, value);
    const double largest =
        value.numel() == 0 ? 0 : (expected->second - value).abs().max().item<double>();
    sums.max_abs = std::max(sums.max_abs, largest);
  }
  return absl::OkStatus();
}

LayerError LayerComparison::error_of(const Node& node, const Sums& sums) const {
  LayerError error;
  error.node = node.name();
  error.op = node.op() == OpId::kNone ? node.target() : std::string(op_def(node.op()).name);
  error.module = module_of(node);
  error.fake_sqnr_db = sums.fake.sqnr_db();
  error.int8_sqnr_db = sums.integers.sqnr_db();
  error.local_sqnr_db = sums.local.sqnr_db();
  error.cosine = sums.integers.cosine();
  const Node* integer = quantized_.graph_module().graph().find(node.name());
  const bool has_steps = integer && integer->type.qparams;
  if (has_steps) error.max_abs_steps = sums.max_abs / integer->type.qparams->scale;
  const auto* op = dynamic_cast<const QuantOpModule*>(fake_.op_module(node));
  error.weight_sqnr_db = op ? sums.weight.sqnr_db() : std::numeric_limits<double>::infinity();
  if (op) error.per_tensor_loss_db = per_tensor_loss(*op);
  double largest = 0;
  for (const auto& [cause, noise] : {std::pair(ErrorCause::kRounding, sums.rounding),
                                     std::pair(ErrorCause::kClipping, sums.clipping),
                                     std::pair(ErrorCause::kWeights, op ? sums.weight.noise : 0)}) {
    if (noise <= largest) continue;
    largest = noise;
    error.cause = cause;
  }
  return error;
}

std::vector<LayerError> LayerComparison::errors() const {
  std::vector<LayerError> result;
  for (const Node* node : fake_.graph().nodes()) {
    if (!node->is_call() && !node->is(NodeKind::kPlaceholder)) continue;
    const auto sums = sums_.find(node->name());
    if (sums != sums_.end()) result.push_back(error_of(*node, sums->second));
  }
  return result;
}

}  // namespace fxq
