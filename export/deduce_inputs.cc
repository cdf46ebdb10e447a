// conv2d(weight: f32[64,3,7,7]) of %x   ->   %x : f32[N,3,H,W]      linear(f32[10,64]) -> f32[N,64]
#include "fxq/export/deduce_inputs.h"

#include <ATen/core/Tensor.h>

#include <deque>
#include <unordered_set>

#include "fxq/graph/view.h"

namespace fxq {
namespace {

bool keeps_axes(const OpDef& def) {
  if (def.rule == Rule::kNotTensor) return def.onnx.find("Quantize") != std::string_view::npos;
  return def.id != OpId::kNone && (!def.moves || def.onnx == "Identity");
}

// The nearest weighted op that reads the value.
const Node* reader_of(const Node* value) {
  std::deque<const Node*> todo{value};
  std::unordered_set<const Node*> seen;
  while (!todo.empty()) {
    const Node* node = todo.front();
    todo.pop_front();
    for (const Node* user : node->users()) {
      if (!seen.insert(user).second || !user->is_call()) continue;
      if (is_weighted(user->op())) return user;
      if (keeps_axes(op_def(user->op()))) todo.push_back(user);
    }
  }
  return nullptr;
}

std::vector<Dim> input_dims(const OpView& view, const at::Tensor& weight) {
  std::vector<Dim> dims{{-1, kBatchSymbol}};
  const bool transposed = view.def().channel_axis == 1;
  const int64_t groups = view.attr_int("groups", 1);
  dims.push_back({transposed ? weight.size(0) : weight.size(1) * groups, ""});
  const std::vector<std::string> names{"D", "H", "W"};
  const auto spatial = static_cast<size_t>(weight.dim()) - 2;
  for (size_t i = 0; i < spatial && spatial <= names.size(); ++i) {
    dims.push_back({-1, names[names.size() - spatial + i]});
  }
  return dims;
}

}  // namespace

int deduce_input_types(GraphModule& gm) {
  int count = 0;
  for (Node* node : gm.graph().placeholders()) {
    const bool tensor = node->type.is_tensor() || node->type.kind == Type::Kind::kUnknown;
    if (!tensor || node->type.rank() >= 0) continue;
    const Node* reader = reader_of(node);
    if (!reader) continue;
    const OpView view(gm, reader);
    const at::Tensor weight = view.param(view.def().weight);
    if (!weight.defined() || weight.dim() < 2) continue;
    node->type = Type::tensor(DType::kF32);
    node->type.dims = input_dims(view, weight);
    ++count;
  }
  return count;
}

}  // namespace fxq
