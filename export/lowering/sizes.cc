// x.size(1) -> Gather(Shape(x), 1)     n // m -> Div(n - n mod m, m)     list[i] -> its element
// What is known when exporting stays a constant.
#include "fxq/export/lowering/sizes.h"

#include <fmt/format.h>

#include "fxq/base/status.h"
#include "fxq/export/exporter.h"
#include "fxq/export/lowering/lowering.h"
#include "fxq/export/lowering/sequences.h"
#include "fxq/export/opset_forms.h"

namespace fxq {
namespace {

OnnxValue int_value(OnnxValue::Kind kind, std::string name) {
  OnnxValue value;
  value.kind = kind;
  value.name = std::move(name);
  return value;
}

void set_int(Exporter& exporter, const Node& node, const std::string& name) {
  exporter.set(&node, int_value(OnnxValue::Kind::kInt,
                                exporter.builder().rename(name, node.name()) ? node.name() : name));
}

int64_t floor_div(int64_t a, int64_t b) {
  const int64_t quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

absl::StatusOr<int64_t> fold(const std::string& op_type, int64_t a, int64_t b) {
  if (op_type == "Add") return a + b;
  if (op_type == "Sub") return a - b;
  if (op_type == "Mul") return a * b;
  if (b == 0) return absl::InvalidArgumentError("it divides by 0");
  return op_type == "Mod" ? a - floor_div(a, b) * b : floor_div(a, b);
}

std::string gather(OnnxBuilder& builder, const std::string& list, int64_t index) {
  const std::string at = builder.int_scalar(index);
  return builder.add("Gather", {list, at}, {{"axis", int64_t{0}}});
}

// Known sizes of a tensor, if constants may be folded: -1 where unknown.
std::vector<int64_t> known_sizes(const Exporter& exporter, const Type& type) {
  std::vector<int64_t> sizes;
  if (!exporter.options().do_constant_folding || !type.dims) return sizes;
  for (const Dim& dim : *type.dims) sizes.push_back(dim.size);
  return sizes;
}

absl::Status element(Exporter& exporter, const Node& node, const OnnxValue& container,
                     size_t index) {
  if (container.kind == OnnxValue::Kind::kInts) {
    if (container.is_constant()) {
      exporter.set(&node, OnnxValue::integer(container.constant[index]));
    } else {
      set_int(exporter, node,
              gather(exporter.builder(), container.name, static_cast<int64_t>(index)));
    }
    return absl::OkStatus();
  }
  exporter.set(&node, OnnxValue(container.children[index]));
  return absl::OkStatus();
}

}  // namespace

absl::Status int_arithmetic(Exporter& exporter, const OpView& view, const std::string& op_type) {
  const Node& node = *view.node();
  if (node.args().size() < 2) return absl::UnimplementedError("it needs two integers");
  FXQ_ASSIGN_OR_RETURN(const OnnxValue a, exporter.ints(node.args()[0]));
  FXQ_ASSIGN_OR_RETURN(const OnnxValue b, exporter.ints(node.args()[1]));
  if (a.kind != OnnxValue::Kind::kInt || b.kind != OnnxValue::Kind::kInt) {
    return absl::UnimplementedError("arithmetic on lists of sizes");
  }
  if (a.is_constant() && b.is_constant()) {
    FXQ_ASSIGN_OR_RETURN(const int64_t value, fold(op_type, a.constant[0], b.constant[0]));
    exporter.set(&node, OnnxValue::integer(value));
    return absl::OkStatus();
  }
  OnnxBuilder& builder = exporter.builder();
  std::string x = exporter.int_tensor(a);
  const std::string y = exporter.int_tensor(b);
  if (op_type == "FloorDiv") {
    const std::string rest = builder.add("Mod", {x, y});
    x = builder.add("Sub", {x, rest});
  }
  set_int(exporter, node, builder.add(op_type == "FloorDiv" ? "Div" : op_type, {x, y}));
  return absl::OkStatus();
}

absl::Status onnx_FloorDiv(Exporter& exporter, const OpView& view) {
  return int_arithmetic(exporter, view, "FloorDiv");
}

absl::Status onnx_Mod(Exporter& exporter, const OpView& view) {
  return int_arithmetic(exporter, view, "Mod");
}

absl::Status onnx_Size(Exporter& exporter, const OpView& view) {
  const Node& node = *view.node();
  FXQ_ASSIGN_OR_RETURN(const OnnxValue dim, exporter.ints(view.attr("dim")));
  const std::vector<int64_t> known = known_sizes(exporter, view.operand(0)->type);
  if (dim.is_constant() && !known.empty()) {
    const auto rank = static_cast<int64_t>(known.size());
    const int64_t axis = dim.constant[0] < 0 ? dim.constant[0] + rank : dim.constant[0];
    if (axis >= 0 && axis < rank && known[static_cast<size_t>(axis)] >= 0) {
      exporter.set(&node, OnnxValue::integer(known[static_cast<size_t>(axis)]));
      return absl::OkStatus();
    }
  }
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  const std::string shape = exporter.builder().add("Shape", {x});
  const std::string index = exporter.int_tensor(dim);
  set_int(exporter, node, exporter.builder().add("Gather", {shape, index}, {{"axis", int64_t{0}}}));
  return absl::OkStatus();
}

absl::Status onnx_Sizes(Exporter& exporter, const OpView& view) {
  const Node& node = *view.node();
  std::vector<int64_t> known = known_sizes(exporter, view.operand(0)->type);
  const bool all_known =
      view.operand(0)->type.has_static_shape() && exporter.options().do_constant_folding;
  if (all_known) {
    exporter.set(&node, OnnxValue::integers(std::move(known)));
    return absl::OkStatus();
  }
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  const std::string shape = exporter.builder().add("Shape", {x});
  exporter.builder().rename(shape, node.name());
  exporter.set(&node, int_value(OnnxValue::Kind::kInts, node.name()));
  return absl::OkStatus();
}

absl::Status onnx_GetItem(Exporter& exporter, const OpView& view) {
  const Node& node = *view.node();
  const Node* source = node.args().at(0).node();
  const auto* index = node.args().at(1).get_if<int64_t>();
  const auto* key = node.args()[1].get_if<std::string>();
  if (!source) return absl::UnimplementedError("getitem of a constant");
  const OnnxValue container = exporter.value(source);
  if (key && container.kind == OnnxValue::Kind::kDict) {
    for (size_t i = 0; i < container.keys.size(); ++i) {
      if (container.keys[i] == *key) return element(exporter, node, container, i);
    }
  }
  if (container.kind == OnnxValue::Kind::kSequence) return sequence_item(exporter, view, container);
  if (container.kind == OnnxValue::Kind::kInts && !container.is_constant() && index) {
    set_int(exporter, node, gather(exporter.builder(), container.name, *index));
    return absl::OkStatus();
  }
  const bool is_ints = container.kind == OnnxValue::Kind::kInts;
  const auto size =
      static_cast<int64_t>(is_ints ? container.constant.size() : container.children.size());
  const int64_t at = index ? (*index < 0 ? *index + size : *index) : size;
  if (at < 0 || at >= size) {
    return absl::UnimplementedError(
        fmt::format("{} is no index of {} elements", node.args()[1].to_string(), size));
  }
  return element(exporter, node, container, static_cast<size_t>(at));
}

}  // namespace fxq
