// xs + [x] -> SequenceInsert(xs, x)     len(xs) -> SequenceLength     xs[i] -> SequenceAt
// [] -> SequenceEmpty     [a, b] -> SequenceConstruct     cat(xs), stack(xs) -> ConcatFromSequence
#include "fxq/export/lowering/sequences.h"

#include <fmt/format.h>

#include "fxq/base/status.h"
#include "fxq/export/exporter.h"
#include "fxq/export/lowering/lowering.h"
#include "fxq/export/opset_forms.h"

namespace fxq {
namespace {

using Kind = OnnxValue::Kind;

absl::StatusOr<std::string> tensor_item(const OnnxValue& item) {
  if (item.kind == Kind::kTensor) return item.name;
  return absl::UnimplementedError("a list that holds more than tensors");
}

// Of a list's items, by the lists that are known.
DType item_dtype(const Node& node) {
  for (const Type* type = &node.type; !type->elements.empty();) {
    type = &type->elements[0];
    if (type->is_tensor()) return element_type(*type);
  }
  return DType::kF32;
}

void set_named(Exporter& exporter, const Node& node, Kind kind, std::string name) {
  if (exporter.builder().rename(name, node.name())) name = node.name();
  exporter.set(&node, OnnxValue::named(kind, std::move(name)));
}

bool holds_ints(const OnnxValue& list) {
  return list.kind == Kind::kInts ||
         (!list.children.empty() && list.children[0].kind == Kind::kInt);
}

}  // namespace

absl::StatusOr<std::string> sequence_of(Exporter& exporter, const OnnxValue& list, DType dtype) {
  OnnxBuilder& builder = exporter.builder();
  if (list.kind == Kind::kSequence) return list.name;
  if (list.kind != Kind::kList) return absl::UnimplementedError("it is no list of tensors");
  if (list.children.empty()) {
    const auto type = static_cast<int64_t>(onnx_element_type(dtype));
    return builder.add("SequenceEmpty", {}, {{"dtype", type}});
  }
  std::vector<std::string> items;
  for (const OnnxValue& child : list.children) {
    FXQ_ASSIGN_OR_RETURN(std::string item, tensor_item(child));
    items.push_back(std::move(item));
  }
  return builder.add("SequenceConstruct", std::move(items));
}

absl::StatusOr<std::string> list_of_ints(Exporter& exporter, const OnnxValue& list) {
  if (list.kind == Kind::kInts) return exporter.int_list(list);
  if (list.kind != Kind::kList) return absl::UnimplementedError("it is no list of ints");
  if (list.children.empty()) return exporter.builder().ints({});
  std::vector<std::string> parts;
  for (const OnnxValue& child : list.children) {
    if (child.kind != Kind::kInt) return absl::UnimplementedError("it is no list of ints");
    parts.push_back(exporter.int_list(child));
  }
  return exporter.builder().add("Concat", std::move(parts), {{"axis", int64_t{0}}});
}

absl::Status sequence_item(Exporter& exporter, const OpView& view, const OnnxValue& sequence) {
  const Node& node = *view.node();
  FXQ_ASSIGN_OR_RETURN(const OnnxValue index, exporter.ints(node.args()[1]));
  const std::string at = exporter.int_tensor(index);
  set_named(exporter, node, Kind::kTensor,
            exporter.builder().add("SequenceAt", {sequence.name, at}));
  return absl::OkStatus();
}

const OnnxValue* joined_sequence(Exporter& exporter, const OpView& view) {
  if (view.operands().size() != 1) return nullptr;
  const OnnxValue& value = exporter.value(view.operand(0));
  return value.kind == Kind::kSequence ? &value : nullptr;
}

absl::Status onnx_LenTensor(Exporter& exporter, const OpView& view) {
  const Type& type = view.operand(0)->type;
  if (type.rank() > 0 && (*type.dims)[0].is_known() && exporter.options().do_constant_folding) {
    exporter.set(view.node(), OnnxValue::integer((*type.dims)[0].size));
    return absl::OkStatus();
  }
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  const std::string shape = exporter.builder().add("Shape", {x});
  const std::string first = exporter.builder().int_scalar(0);
  set_named(exporter, *view.node(), Kind::kInt,
            exporter.builder().add("Gather", {shape, first}, {{"axis", int64_t{0}}}));
  return absl::OkStatus();
}

absl::Status onnx_LenList(Exporter& exporter, const OpView& view) {
  const Node& node = *view.node();
  FXQ_ASSIGN_OR_RETURN(const OnnxValue list, exporter.value_of(node.args().at(0)));
  if (list.kind == Kind::kSequence) {
    set_named(exporter, node, Kind::kInt, exporter.builder().add("SequenceLength", {list.name}));
    return absl::OkStatus();
  }
  if (list.kind == Kind::kInts && !list.is_constant()) {
    set_named(exporter, node, Kind::kInt, exporter.builder().add("Size", {list.name}));
    return absl::OkStatus();
  }
  const size_t size = list.kind == Kind::kInts ? list.constant.size() : list.children.size();
  exporter.set(&node, OnnxValue::integer(static_cast<int64_t>(size)));
  return absl::OkStatus();
}

absl::Status onnx_AddList(Exporter& exporter, const OpView& view) {
  const Node& node = *view.node();
  FXQ_ASSIGN_OR_RETURN(OnnxValue list, exporter.value_of(node.args().at(0)));
  FXQ_ASSIGN_OR_RETURN(const OnnxValue more, exporter.value_of(node.args().at(1)));
  if (holds_ints(list) || holds_ints(more)) {
    FXQ_ASSIGN_OR_RETURN(const std::string a, list_of_ints(exporter, list));
    FXQ_ASSIGN_OR_RETURN(const std::string b, list_of_ints(exporter, more));
    set_named(exporter, node, Kind::kInts,
              exporter.builder().add("Concat", {a, b}, {{"axis", int64_t{0}}}));
    return absl::OkStatus();
  }
  if (more.kind != Kind::kList) {
    return absl::UnimplementedError("a list is added whose length depends on data");
  }
  if (list.kind == Kind::kList) {
    list.children.insert(list.children.end(), more.children.begin(), more.children.end());
    exporter.set(&node, std::move(list));
    return absl::OkStatus();
  }
  FXQ_ASSIGN_OR_RETURN(std::string sequence, sequence_of(exporter, list, item_dtype(node)));
  for (const OnnxValue& child : more.children) {
    FXQ_ASSIGN_OR_RETURN(const std::string item, tensor_item(child));
    sequence = exporter.builder().add("SequenceInsert", {sequence, item});
  }
  set_named(exporter, node, Kind::kSequence, std::move(sequence));
  return absl::OkStatus();
}

// Nobody writes into a list of ONNX's.
absl::Status onnx_CopyList(Exporter& exporter, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(OnnxValue list, exporter.value_of(view.node()->args().at(0)));
  exporter.set(view.node(), std::move(list));
  return absl::OkStatus();
}

}  // namespace fxq
