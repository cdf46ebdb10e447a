// b -= mean over data and positions of (op(x, fq(W)) - op(x, W)), per output channel
#include "fxq/quant/bias_correction.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>

#include <map>

#include "fxq/base/status.h"
#include "fxq/graph/interpreter.h"
#include "fxq/quant/fake_quantize.h"
#include "fxq/quant/quant_op_module.h"

namespace fxq {
namespace {

class BiasShift : public Interpreter {
 public:
  using Interpreter::Interpreter;

  struct Sum {
    at::Tensor shift;  // f64[C]
    double count = 0;
  };
  std::map<std::string, Sum> sums;  // by the module's path

 protected:
  absl::StatusOr<c10::IValue> run_node(const Node& node, std::vector<c10::IValue> args,
                                       std::vector<c10::IValue> kwargs) override {
    if (node.is(NodeKind::kCallModule)) {
      const auto op =
          std::dynamic_pointer_cast<QuantOpModule>(graph_module().module(node.target()));
      if (op) add(node, *op, args);
    }
    return Interpreter::run_node(node, std::move(args), std::move(kwargs));
  }

 private:
  void add(const Node& node, QuantOpModule& op, const std::vector<c10::IValue>& args) {
    const at::Tensor exact = op.folded()->call("forward", args).toTensor();
    const at::Tensor moved = op.call("forward", args).toTensor() - exact;
    // Channels stand at dimension 1; those of a linear are last.
    const int64_t axis = op.op() == OpId::kLinear ? moved.dim() - 1 : 1;
    const at::Tensor rows = moved.transpose(0, axis).flatten(1).to(at::kDouble);
    Sum& sum = sums[node.target()];
    sum.shift = sum.shift.defined() ? sum.shift + rows.sum(1) : rows.sum(1);
    sum.count += static_cast<double>(rows.size(1));
  }
};

// The bias, or with a batch norm inside its beta, moved back.
void correct(QuantOpModule& op, const at::Tensor& shift) {
  const std::string name = op.batch_norm() ? "bn_bias" : std::string(op_def(op.op()).bias);
  const at::Tensor old = op.batch_norm() ? op.batch_norm()->tensor("bias") : op.tensor(name);
  const at::Tensor by = shift.to(at::kFloat);
  const bool trains = old.defined() && old.requires_grad();
  at::Tensor corrected = old.defined() ? old.detach() - by : -by;
  op.set_tensor(name, corrected.set_requires_grad(trains));
}

}  // namespace

absl::StatusOr<int> correct_biases(ObservedGraphModule& model,
                                   const std::vector<std::vector<c10::IValue>>& batches) {
  FXQ_RETURN_IF_ERROR(set_fake_quantize(model, FakeQuantState::VALIDATION));
  for (const auto& [path, fake_quant] : model.fake_quants()) {
    const bool weight = path.size() > 7 && path.compare(path.size() - 7, 7, ".weight") == 0;
    if (fake_quant->is_calibrated() || weight) continue;
    return absl::FailedPreconditionError(
        fmt::format("correct_biases: {} never saw data; calibrate first", path));
  }
  const at::NoGradGuard no_grad;
  BiasShift run(model.graph_module());
  for (const std::vector<c10::IValue>& batch : batches) {
    FXQ_RETURN_IF_ERROR(run.run(batch).status());
  }
  for (const auto& [path, sum] : run.sums) {
    const auto op = std::dynamic_pointer_cast<QuantOpModule>(model.graph_module().module(path));
    correct(*op, sum.shift / sum.count);
  }
  return static_cast<int>(run.sums.size());
}

}  // namespace fxq
