// sqnr = 10 log10(sum a^2 / sum (a - b)^2) in double over all elements.
#include "fxq/quant/compare.h"

#include <ATen/core/Dict.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <limits>

#include "fxq/base/status.h"
#include "fxq/graph/tensor_convert.h"
#include "fxq/quant/reference_interpreter.h"

namespace fxq {
namespace {

void append_tensors(const c10::IValue& value, std::vector<at::Tensor>& all) {
  if (value.isTensor()) {
    all.push_back(value.toTensor());
  } else if (value.isScalar()) {
    all.push_back(number_tensor(value.toScalar()));
  } else if (value.isList()) {
    for (const c10::IValue& item : value.toListRef()) append_tensors(item, all);
  } else if (value.isTuple()) {
    for (const c10::IValue& item : value.toTupleRef().elements()) append_tensors(item, all);
  } else if (value.isGenericDict()) {
    for (const auto& entry : value.toGenericDict()) append_tensors(entry.value(), all);
  }
}

absl::Status check_match(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  if (a.size() != b.size()) {
    return absl::InvalidArgumentError(
        fmt::format("one result has {} tensors, the other {}", a.size(), b.size()));
  }
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].sizes() == b[i].sizes()) continue;
    return absl::InvalidArgumentError(
        fmt::format("tensor {} is [{}] in one result, [{}] in the other", i,
                    fmt::join(a[i].sizes(), ","), fmt::join(b[i].sizes(), ",")));
  }
  return absl::OkStatus();
}

// 0 where a value of either is NaN or infinite.
struct Doubles {
  at::Tensor x, y;
  bool rest_is_equal;  // NaN beside NaN, infinities of one sign
};

Doubles finite_doubles(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor x = a.detach().to(at::kDouble), y = b.detach().to(at::kDouble);
  const at::Tensor finite = x.isfinite().logical_and(y.isfinite());
  const at::Tensor same = x.eq(y).logical_or(x.isnan().logical_and(y.isnan()));
  const at::Tensor rest = finite.logical_not();
  return {x.masked_fill(rest, 0), y.masked_fill(rest, 0),
          finite.logical_or(same).all().item<bool>()};
}

class Recorder : public ReferenceInterpreter {
 public:
  using ReferenceInterpreter::ReferenceInterpreter;
  std::map<std::string, at::Tensor> values;

 protected:
  absl::Status on_value(const Node& node, c10::IValue& value) override {
    if (!value.isTensor() || !value.toTensor().defined()) return absl::OkStatus();
    const at::Tensor tensor = value.toTensor();
    values[node.name()] = node.type.qparams ? tensor.to(at::kFloat) * node.type.qparams->scale
                                            : tensor.detach().clone();
    return absl::OkStatus();
  }
};

}  // namespace

std::vector<at::Tensor> flatten_tensors(const c10::IValue& value) {
  std::vector<at::Tensor> all;
  append_tensors(value, all);
  return all;
}

absl::StatusOr<double> sqnr_db(const c10::IValue& reference, const c10::IValue& test) {
  const auto a = flatten_tensors(reference);
  const auto b = flatten_tensors(test);
  FXQ_RETURN_IF_ERROR(check_match(a, b));
  double signal = 0;
  double noise = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const Doubles pair = finite_doubles(a[i], b[i]);
    if (!pair.rest_is_equal) return -std::numeric_limits<double>::infinity();
    signal += pair.x.square().sum().item<double>();
    noise += (pair.x - pair.y).square().sum().item<double>();
  }
  if (noise == 0) return std::numeric_limits<double>::infinity();
  return 10.0 * std::log10(signal / noise);
}

absl::StatusOr<double> sqnr_db(const at::Tensor& reference, const at::Tensor& test) {
  return sqnr_db(c10::IValue(reference), c10::IValue(test));
}

absl::StatusOr<double> max_relative_difference(const c10::IValue& a, const c10::IValue& b) {
  const auto left = flatten_tensors(a);
  const auto right = flatten_tensors(b);
  FXQ_RETURN_IF_ERROR(check_match(left, right));
  double worst = 0;
  for (size_t i = 0; i < left.size(); ++i) {
    if (left[i].numel() == 0) continue;
    const Doubles pair = finite_doubles(left[i], right[i]);
    if (!pair.rest_is_equal) return std::numeric_limits<double>::infinity();
    const double difference = (pair.x - pair.y).abs().max().item<double>();
    const double largest = pair.x.abs().max().item<double>();
    worst = std::max(worst, difference == 0 ? 0 : difference / std::max(largest, 1e-30));
  }
  return worst;
}

absl::StatusOr<std::map<std::string, at::Tensor>> record_values(const GraphModule& gm,
                                                                std::vector<c10::IValue> inputs) {
  Recorder recorder(gm);
  FXQ_RETURN_IF_ERROR(recorder.run(std::move(inputs)).status());
  return std::move(recorder.values);
}

absl::StatusOr<std::vector<ValueComparison>> compare_graphs(
    const GraphModule& reference, const GraphModule& test, const std::vector<c10::IValue>& inputs) {
  FXQ_ASSIGN_OR_RETURN(const auto expected, record_values(reference, inputs));
  FXQ_ASSIGN_OR_RETURN(const auto actual, record_values(test, inputs));
  std::vector<ValueComparison> result;
  for (const Node* node : reference.graph().nodes()) {
    const auto a = expected.find(node->name());
    const auto b = actual.find(node->name());
    if (a == expected.end() || b == actual.end()) continue;
    FXQ_ASSIGN_OR_RETURN(const double db, sqnr_db(a->second, b->second));
    result.push_back({node->name(), db});
  }
  return result;
}

}  // namespace fxq
