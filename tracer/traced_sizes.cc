// floor(to(mul(to(NumToTensor(%n), f32), 1.5), f32))  ->  %n * 3 / 2
#include "fxq/tracer/traced_sizes.h"

#include <ATen/core/Tensor.h>

#include <cmath>

#include "fxq/graph/view.h"
#include "fxq/tracer/emitter.h"

namespace fxq {
namespace {

// f32 holds every integer below 2^24: sizes below 2^18 stay exact.
constexpr int64_t kGreatest = 64;

bool keeps_reals(const GraphModule& gm, const Node* node) {
  if (node->op() == OpId::kDetach) return true;
  if (node->op() != OpId::kToDtype) return false;
  const Argument dtype = OpView(gm, node).attr("dtype");
  const DType* wanted = dtype.get_if<DType>();
  return wanted && (*wanted == DType::kF32 || *wanted == DType::kF64);
}

const Node* behind_casts(const GraphModule& gm, const Node* node) {
  while (keeps_reals(gm, node)) node = node->inputs()[0];
  return node;
}

// A parameter may train, a buffer may be assigned.
std::optional<double> literal(const Emitter& emitter, const Node* node) {
  const at::Tensor tensor = emitter.literal(*node);
  if (!tensor.defined() || tensor.dim() != 0 || !tensor.is_floating_point()) return std::nullopt;
  return tensor.item<double>();
}

Node* number_in(const GraphModule& gm, const Node* node) {
  node = behind_casts(gm, node);
  return node->op() == OpId::kNumToTensor ? node->args()[0].node() : nullptr;
}

}  // namespace

std::optional<SizeFraction> size_fraction(const GraphModule& gm, const Emitter& emitter,
                                          const Node* tensor) {
  const Node* rounded = behind_casts(gm, tensor);
  if (rounded->op() != OpId::kFloor) return std::nullopt;
  const Node* product = behind_casts(gm, rounded->inputs()[0]);
  if (product->op() != OpId::kMul || product->inputs().size() != 2) return std::nullopt;
  Node* number = number_in(gm, product->inputs()[0]);
  const auto factor = literal(emitter, behind_casts(gm, product->inputs()[1]));
  if (!number || !factor) return std::nullopt;
  for (int64_t denominator = 1; denominator <= kGreatest; denominator *= 2) {
    const double numerator = *factor * static_cast<double>(denominator);
    if (numerator < 1 || numerator > kGreatest || numerator != std::floor(numerator)) continue;
    return SizeFraction{number, static_cast<int64_t>(numerator), denominator};
  }
  return std::nullopt;
}

}  // namespace fxq
