// %n = size(%x, 0); %k = floordiv_int(%n, 10)  with x: f32[N,4]    N decides %n and %k
#include "fxq/export/open_sizes.h"

#include <ATen/core/function_schema.h>

#include <algorithm>

namespace fxq {
namespace {

bool is_open(const Dim& dim) { return !dim.is_known(); }

// The number of the axis that is asked about; none if it is computed.
std::optional<int64_t> axis_of(const Node& question) {
  const Argument* axis = question.kwarg("dim");
  if (!axis && question.args().size() > 1) axis = &question.args()[1];
  if (!axis || axis->node()) return std::nullopt;
  return axis->get<int64_t>();
}

bool asks_open_axis(const Node& question, const std::vector<Dim>& dims) {
  const auto rank = static_cast<int64_t>(dims.size());
  const std::optional<int64_t> axis = axis_of(question);
  if (!axis || *axis >= rank || *axis < -rank)
    return std::any_of(dims.begin(), dims.end(), is_open);
  return is_open(dims[static_cast<size_t>(*axis < 0 ? *axis + rank : *axis)]);
}

// Numbers that a tensor gives are its sizes, or made of them.
bool gives_sizes(const Node& question) {
  const c10::TypeKind kind = question.schema()->returns()[0].type()->kind();
  return kind == c10::TypeKind::IntType || kind == c10::TypeKind::ListType;
}

// The answer hangs on sizes, or a rank, that the type of the tensor leaves open.
bool is_open_answer(const Node& question, const Type& asked) {
  if (!gives_sizes(question)) return false;
  if (!asked.dims) return true;
  if (question.op() == OpId::kDimOf) return false;
  if (question.op() == OpId::kSize) return asks_open_axis(question, *asked.dims);
  return std::any_of(asked.dims->begin(), asked.dims->end(), is_open);
}

std::optional<int64_t> int_at(const Node& node, size_t place, int64_t otherwise) {
  if (place >= node.args().size() || node.args()[place].is_none()) return otherwise;
  const auto* number = node.args()[place].get_if<int64_t>();
  return number ? std::optional<int64_t>(*number) : std::nullopt;
}

// items[start:end:step]
std::optional<std::vector<bool>> sliced(const Node& slice, const std::vector<bool>& items) {
  const auto count = static_cast<int64_t>(items.size());
  const auto start = int_at(slice, 1, 0), end = int_at(slice, 2, count), step = int_at(slice, 3, 1);
  if (!start || !end || !step || *step < 1) return std::nullopt;
  const auto place = [&](int64_t index) {
    return std::clamp<int64_t>(index < 0 ? index + count : index, 0, count);
  };
  std::vector<bool> part;
  for (int64_t i = place(*start); i < place(*end); i += *step) {
    part.push_back(items[static_cast<size_t>(i)]);
  }
  return part;
}

}  // namespace

bool asks_a_tensor(const Node& node) {
  const c10::FunctionSchema* schema = node.schema();
  const bool by_row = op_def(node.op()).rule == Rule::kNotTensor;
  if (!schema || (!by_row && schema->name().rfind("prim::", 0) != 0)) return false;
  const auto& returns = schema->returns();
  const auto& arguments = schema->arguments();
  if (returns.size() != 1 || arguments.empty() || node.inputs().size() != 1) return false;
  const c10::TypeKind kind = returns[0].type()->kind();
  return kind != c10::TypeKind::TensorType && kind != c10::TypeKind::AnyType &&
         arguments[0].type()->kind() == c10::TypeKind::TensorType;
}

std::optional<std::vector<bool>> open_items(const Node& list, const TypeOf& type_of) {
  if (list.inputs().size() != 1) return std::nullopt;
  if (list.op() == OpId::kSliceList) {
    const auto items = open_items(*list.inputs()[0], type_of);
    return items ? sliced(list, *items) : std::nullopt;
  }
  const Type asked = list.op() == OpId::kSizes ? type_of(*list.inputs()[0]) : Type();
  if (!asked.dims) return std::nullopt;
  std::vector<bool> items;
  for (const Dim& dim : *asked.dims) items.push_back(is_open(dim));
  return items;
}

std::optional<bool> asks_open_sizes(const Node& node, const TypeOf& type_of) {
  if (asks_a_tensor(node)) return is_open_answer(node, type_of(*node.inputs()[0]));
  if (const auto part = node.op() == OpId::kSliceList ? open_items(node, type_of) : std::nullopt) {
    return std::find(part->begin(), part->end(), true) != part->end();
  }
  if (node.op() != OpId::kGetItem || node.inputs().size() != 1) return std::nullopt;
  const auto items = open_items(*node.inputs()[0], type_of);
  auto index = int_at(node, 1, 0);
  if (!items || !index) return std::nullopt;
  if (*index < 0) *index += static_cast<int64_t>(items->size());
  return *index < 0 || *index >= static_cast<int64_t>(items->size()) ||
         (*items)[static_cast<size_t>(*index)];
}

bool OpenSizes::decide(const Node& node) {
  if (const auto known = known_.find(&node); known != known_.end()) return known->second;
  const auto asks = asks_open_sizes(node, type_of_);
  const bool open = asks ? *asks
                         : std::any_of(node.inputs().begin(), node.inputs().end(),
                                       [this](const Node* input) { return decide(*input); });
  return known_[&node] = open;
}

}  // namespace fxq
