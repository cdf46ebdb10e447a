// %x: f32[N,3,8,8]  ->  normal numbers, f32[2,3,8,8]
#include "seeded_run.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "fxq/base/status.h"
#include "fxq/graph/problems.h"
#include "fxq/graph/seeded_tensor.h"
#include "fxq/graph/tensor_convert.h"

namespace fxq {
namespace {

constexpr int64_t kOpenDim = 2;

at::Tensor empty_of(const Type& type) {
  std::vector<int64_t> sizes;
  for (const Dim& dim : *type.dims) sizes.push_back(dim.is_known() ? dim.size : kOpenDim);
  return at::empty(sizes, static_cast<at::ScalarType>(scalar_type_number(*type.dtype)));
}

std::string mismatch(size_t index, const at::Tensor& before, const at::Tensor& after, bool exact) {
  if (before.sizes() != after.sizes() || before.scalar_type() != after.scalar_type()) {
    return fmt::format("result {} changed its shape or dtype", index);
  }
  if (before.numel() == 0) return "";
  const double largest = before.to(at::kDouble).abs().max().item<double>();
  const double apart = (before.to(at::kDouble) - after.to(at::kDouble)).abs().max().item<double>();
  const double allowed = exact ? 0.0 : 1e-4 * largest;
  if (apart <= allowed) return "";
  return fmt::format("result {} differs by {} of {} (allowed: {})", index, apart, largest, allowed);
}

}  // namespace

absl::StatusOr<std::vector<c10::IValue>> seeded_inputs(const GraphModule& gm) {
  std::vector<c10::IValue> inputs;
  Problems problems;
  int64_t seed = 1000;
  for (const Node* node : gm.graph().placeholders()) {
    if (!node->type.is_tensor() || !node->type.dtype || !node->type.dims) {
      problems.add(fmt::format("%{} needs a type with dtype and rank to be run", node->name()));
      continue;
    }
    const bool real = is_floating_point(*node->type.dtype);
    const TensorInit init = real ? TensorInit{"normal", {Argument(++seed)}}
                                 : TensorInit{"uniform", {Argument(++seed), 0, 3}};
    FXQ_ASSIGN_OR_RETURN(at::Tensor tensor, seeded_tensor(init, empty_of(node->type)));
    inputs.emplace_back(std::move(tensor));
  }
  FXQ_RETURN_IF_ERROR(problems.status(absl::StatusCode::kInvalidArgument));
  return inputs;
}

std::vector<at::Tensor> flattened(const c10::IValue& value) {
  if (value.isTensor()) return {value.toTensor()};
  if (value.isScalar()) return {at::scalar_tensor(value.toScalar(), at::kDouble)};
  std::vector<c10::IValue> items;
  if (value.isTuple()) items = value.toTupleRef().elements().vec();
  if (value.isList()) items = value.toListRef().vec();
  if (value.isGenericDict()) {
    for (const auto& entry : value.toGenericDict()) items.push_back(entry.value());
  }
  std::vector<at::Tensor> tensors;
  for (const c10::IValue& item : items) {
    for (const at::Tensor& tensor : flattened(item)) tensors.push_back(tensor);
  }
  return tensors;
}

std::string difference(const c10::IValue& before, const c10::IValue& after, bool exact) {
  const auto left = flattened(before);
  const auto right = flattened(after);
  if (left.size() != right.size()) {
    return fmt::format("{} results became {}", left.size(), right.size());
  }
  for (size_t i = 0; i < left.size(); ++i) {
    std::string text = mismatch(i, left[i], right[i], exact);
    if (!text.empty()) return text;
  }
  return "";
}

}  // namespace fxq
