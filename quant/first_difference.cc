// Runs the fake-quant graph; every value that has integers in the other graph is compared in steps
// of their scale and then replaced by them.
#include "fxq/quant/first_difference.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

#include "fxq/base/status.h"
#include "fxq/graph/interpreter.h"
#include "fxq/quant/compare.h"
#include "fxq/quant/qdtype.h"

namespace fxq {
namespace {

class Comparing : public Interpreter {
 public:
  Comparing(const GraphModule& observed, const GraphModule& quantized,
            const std::map<std::string, at::Tensor>& integers, double allowed)
      : Interpreter(observed), quantized_(quantized), integers_(integers), allowed_(allowed) {}
  FirstDifference result;

 protected:
  absl::Status on_value(const Node& node, c10::IValue& value) override {
    const Node* other = quantized_.graph().find(node.name());
    const auto recorded = integers_.find(node.name());
    if (!other || !other->type.qparams || recorded == integers_.end() || !value.isTensor()) {
      return absl::OkStatus();
    }
    if (result.node.empty()) compare(*other, value.toTensor(), recorded->second);
    value = recorded->second;
    return absl::OkStatus();
  }

 private:
  void compare(const Node& node, const at::Tensor& fake, const at::Tensor& actual) {
    const double scale = static_cast<double>(node.type.qparams->scale);
    const QRange range = range_of(*node.type.dtype);
    const auto steps = [&](const at::Tensor& x) {
      return (x.detach().to(at::kDouble) / scale).round().clamp(range.min, range.max);
    };
    ++result.compared;
    if (actual.numel() == 0) return;
    const double worst = (steps(fake) - steps(actual)).abs().max().item<double>();
    if (worst <= allowed_) return;
    result.node = node.name();
    result.steps = worst;
  }

  const GraphModule& quantized_;
  const std::map<std::string, at::Tensor>& integers_;
  double allowed_;
};

}  // namespace

absl::StatusOr<FirstDifference> first_difference(const GraphModule& observed,
                                                 const GraphModule& quantized,
                                                 const std::vector<c10::IValue>& inputs,
                                                 double allowed) {
  FXQ_ASSIGN_OR_RETURN(const auto integers, record_values(quantized, inputs));
  Comparing comparing(observed, quantized, integers, allowed);
  FXQ_RETURN_IF_ERROR(comparing.run(inputs).status());
  return comparing.result;
}

}  // namespace fxq
