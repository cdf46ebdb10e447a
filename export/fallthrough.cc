// %y = aten::cumsum(%x, 1)   ->   aten.cumsum(x) {dim: 1}   or   org.pytorch.aten.ATen(x)
// {operator: "cumsum", dim: 1}
#include "fxq/export/fallthrough.h"

#include <ATen/core/function_schema.h>

#include "fxq/base/status.h"
#include "fxq/export/exporter.h"

namespace fxq {
namespace {

void add_attribute(OnnxAttributes& attributes, const std::string& name, const Argument& value) {
  if (value.is_none()) return;
  if (const auto* real = value.get_if<double>()) {
    attributes.emplace_back(name, static_cast<float>(*real));
  } else if (const auto* integer = value.get_if<int64_t>()) {
    attributes.emplace_back(name, *integer);
  } else if (const auto* flag = value.get_if<bool>()) {
    attributes.emplace_back(name, static_cast<int64_t>(*flag));
  } else if (const auto* text = value.get_if<std::string>()) {
    attributes.emplace_back(name, *text);
  } else if (const std::vector<Argument>* items = value.items()) {
    std::vector<int64_t> ints;
    for (const Argument& item : *items) {
      if (const auto* integer = item.get_if<int64_t>()) ints.push_back(*integer);
    }
    if (ints.size() == items->size()) {
      attributes.emplace_back(name, std::move(ints));
    } else {
      attributes.emplace_back(name, value.to_string());
    }
  } else {
    attributes.emplace_back(name, value.to_string());
  }
}

// Tensors of the call in schema order, then sizes that were computed; constants become attributes.
absl::Status read_call(Exporter& exporter, const OpView& view, OnnxCall& call) {
  for (size_t i = 0; i < view.operands().size(); ++i) {
    FXQ_ASSIGN_OR_RETURN(std::string x, exporter.operand(view, i));
    call.inputs.push_back(std::move(x));
  }
  const OpDef& def = view.def();
  std::vector<std::string_view> params = def.params;
  if (def.rule == Rule::kWeighted) params = {def.weight, def.bias};
  const bool is_module = view.node()->is(NodeKind::kCallModule);
  for (const std::string_view name : params) {
    if (!is_module && def.rule == Rule::kWeighted) break;  // operands already
    FXQ_ASSIGN_OR_RETURN(std::string param, exporter.param(view, name));
    call.inputs.push_back(std::move(param));
  }
  for (const std::string& name : view.attr_names()) {
    const Argument value = view.attr(name);
    if (value.is_constant()) {
      add_attribute(call.attributes, name, value);
      continue;
    }
    FXQ_ASSIGN_OR_RETURN(const OnnxValue size, exporter.ints(value));
    call.inputs.push_back(exporter.int_tensor(size));
  }
  return absl::OkStatus();
}

void name_call(const Exporter& exporter, const c10::FunctionSchema& schema, OnnxCall& call) {
  const std::string& full = schema.name();
  const size_t colons = full.find("::");
  const std::string domain = colons == std::string::npos ? "" : full.substr(0, colons);
  const std::string name = colons == std::string::npos ? full : full.substr(colons + 2);
  const bool aten =
      exporter.options().operator_export_type == OperatorExportTypes::kOnnxAten ||
      exporter.options().operator_export_type == OperatorExportTypes::kOnnxAtenFallback;
  call.domain = aten && domain == "aten" ? "org.pytorch.aten" : domain;
  call.op_type = aten && domain == "aten" ? "ATen" : name;
  if (call.op_type != "ATen") return;
  call.attributes.emplace_back("operator", name);
  call.attributes.emplace_back("overload_name", schema.overload_name());
}

}  // namespace

absl::Status fall_through(Exporter& exporter, const OpView& view) {
  const Node& node = *view.node();
  const c10::FunctionSchema* schema = node.schema();
  if (!schema) return absl::UnimplementedError("X002 TorchScript code has no ONNX form");
  if (schema->is_mutable()) {
    return absl::UnimplementedError("X004 it changes its arguments, which ONNX cannot express");
  }
  OnnxCall call;
  name_call(exporter, *schema, call);
  FXQ_RETURN_IF_ERROR(read_call(exporter, view, call));
  const bool is_list = node.type.kind == Type::Kind::kTuple || node.type.kind == Type::Kind::kList;
  const size_t count = is_list ? std::max<size_t>(node.type.elements.size(), 1) : 1;
  std::vector<std::string> outputs = exporter.builder().add_many(std::move(call), count);
  if (!is_list) return exporter.finish(view, std::move(outputs[0]));
  std::vector<OnnxValue> parts;
  for (std::string& output : outputs) parts.push_back(OnnxValue::tensor(std::move(output)));
  exporter.set(&node, OnnxValue::list(std::move(parts)));
  return absl::OkStatus();
}

}  // namespace fxq
