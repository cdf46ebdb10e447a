// f32[N,3,224,224]  ->  elem_type FLOAT, shape (dim_param N, 3, 224, 224)
#include "fxq/export/value_info.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <onnx/onnx_pb.h>

#include <set>

#include "fxq/export/exporter.h"
#include "fxq/export/subgraphs.h"

namespace fxq {
namespace {

void write_type(const Type& type, const AxisNames& axes, onnx::ValueInfoProto& info) {
  auto& tensor = *info.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(onnx_element_type(element_type(type)));
  if (!type.dims) return;
  onnx::TensorShapeProto& shape = *tensor.mutable_shape();
  const int64_t rank = type.rank();
  for (int64_t i = 0; i < rank; ++i) {
    const Dim& dim = (*type.dims)[static_cast<size_t>(i)];
    auto it = axes.find(i);
    if (it == axes.end()) it = axes.find(i - rank);
    auto& proto = *shape.add_dim();
    if (it != axes.end()) {
      proto.set_dim_param(it->second);
    } else if (dim.is_known()) {
      proto.set_dim_value(dim.size);
    } else if (!dim.symbol.empty()) {
      proto.set_dim_param(dim.symbol);
    }
  }
}

std::string dtype_text(int element) {
  for (int i = 0; i < kDTypeCount; ++i) {
    const auto dtype = static_cast<DType>(i);
    if (onnx_element_type(dtype) == element) return std::string(dtype_name(dtype));
  }
  return "?";
}

ExportSummary::Value describe(const onnx::ValueInfoProto& info) {
  const auto& tensor = info.type().tensor_type();
  std::vector<std::string> dims;
  std::vector<int64_t> sizes;
  for (const auto& dim : tensor.shape().dim()) {
    sizes.push_back(dim.has_dim_value() ? dim.dim_value() : -1);
    if (dim.has_dim_value()) {
      dims.push_back(std::to_string(dim.dim_value()));
    } else {
      dims.push_back(dim.dim_param().empty() ? "?" : dim.dim_param());
    }
  }
  const std::string shape = tensor.has_shape() ? fmt::format("{}", fmt::join(dims, ",")) : "...";
  const std::string dtype = dtype_text(tensor.elem_type());
  return {info.name(), fmt::format("{}[{}]", dtype, shape), dtype, std::move(sizes)};
}

// Values that nodes make: only those can be renamed to an output.
std::set<std::string> node_outputs(const onnx::GraphProto& graph) {
  std::set<std::string> names;
  for (const onnx::NodeProto& node : graph.node()) {
    names.insert(node.output().begin(), node.output().end());
  }
  return names;
}

void rename_in(std::string& value, const std::map<std::string, std::string>& names) {
  auto it = names.find(value);
  if (it != names.end()) value = it->second;
}

}  // namespace

void write_tensor_type(const Type& type, onnx::ValueInfoProto& info) { write_type(type, {}, info); }

absl::Status add_graph_input(onnx::ModelProto& model, const std::string& name, const Type& type) {
  if (!type.is_tensor() && type.kind != Type::Kind::kUnknown) {
    return absl::UnimplementedError(
        fmt::format("X003 it is {}; ONNX models take tensors only", type.to_string()));
  }
  if (type.rank() < 0) {
    return absl::InvalidArgumentError(
        fmt::format("input '{}' is {}: ONNX needs its rank and dtype; give example inputs", name,
                    type.to_string()));
  }
  onnx::ValueInfoProto& info = *model.mutable_graph()->add_input();
  info.set_name(name);
  write_type(type, {}, info);
  return absl::OkStatus();
}

void rename_values(OnnxBuilder& builder, const std::map<std::string, std::string>& wanted) {
  std::map<std::string, std::string> names;
  for (const auto& [from, to] : wanted) {
    if (from == to) continue;
    names[from] = to;
    // Whoever has the name now and keeps no other.
    if (wanted.count(to) == 0) names.emplace(to, builder.unique(to));
  }
  for_each_graph(*builder.model().mutable_graph(), [&](onnx::GraphProto& graph) {
    for (auto& input : *graph.mutable_input()) rename_in(*input.mutable_name(), names);
    for (auto& output : *graph.mutable_output()) rename_in(*output.mutable_name(), names);
    for (auto& tensor : *graph.mutable_initializer()) rename_in(*tensor.mutable_name(), names);
    for (auto& node : *graph.mutable_node()) {
      for (std::string& input : *node.mutable_input()) rename_in(input, names);
      for (std::string& output : *node.mutable_output()) rename_in(output, names);
    }
  });
}

std::map<std::string, std::string> add_graph_outputs(OnnxBuilder& builder,
                                                     std::vector<OnnxOutput>& outputs,
                                                     const ExportOptions& options) {
  std::set<std::string> free = node_outputs(builder.model().graph());
  std::set<std::string> given(options.input_names.begin(), options.input_names.end());
  given.insert(options.output_names.begin(), options.output_names.end());
  std::map<std::string, std::string> names;
  for (size_t i = 0; i < outputs.size(); ++i) {
    OnnxOutput& output = outputs[i];
    if (free.erase(output.value) == 0) {
      const std::string hint = outputs.size() == 1 ? "output" : fmt::format("output_{}", i);
      builder.begin(hint, "");
      output.value = builder.add("Identity", {output.value});
      if (output.name.empty()) output.name = builder.unique(hint);
    }
    if (i < options.output_names.size() && !options.output_names[i].empty()) {
      output.name = options.output_names[i];
    }
    if (output.name.empty()) {
      output.name = given.count(output.value) ? builder.unique(output.value) : output.value;
    }
    onnx::ValueInfoProto& info = *builder.model().mutable_graph()->add_output();
    info.set_name(output.value);
    const auto axes = options.dynamic_axes.find(output.name);
    write_type(output.type, axes == options.dynamic_axes.end() ? AxisNames() : axes->second, info);
    names[output.value] = output.name;
  }
  return names;
}

std::vector<ExportSummary::Value> describe_inputs(const onnx::ModelProto& model) {
  std::set<std::string> initializers;
  for (const auto& tensor : model.graph().initializer()) initializers.insert(tensor.name());
  std::vector<ExportSummary::Value> values;
  for (const auto& info : model.graph().input()) {
    if (initializers.count(info.name()) == 0) values.push_back(describe(info));
  }
  return values;
}

std::vector<ExportSummary::Value> describe_outputs(const onnx::ModelProto& model) {
  std::vector<ExportSummary::Value> values;
  for (const auto& info : model.graph().output()) values.push_back(describe(info));
  return values;
}

}  // namespace fxq
