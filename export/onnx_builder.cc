// begin("conv1"); add("Conv", {x, w, b})   ->   node "conv1/Conv": (x, w, b) -> "conv1.Conv"
#include "fxq/export/onnx_builder.h"

#include <onnx/onnx_pb.h>

#include <algorithm>

#include "fxq/base/check.h"
#include "fxq/export/subgraphs.h"

namespace fxq {
namespace {

std::string unique_in(std::unordered_set<std::string>& taken, const std::string& hint) {
  std::string name = hint;
  for (int i = 1; !taken.insert(name).second; ++i) name = hint + "_" + std::to_string(i);
  return name;
}

struct AttributeWriter {
  onnx::AttributeProto& proto;
  void operator()(int64_t value) const {
    proto.set_type(onnx::AttributeProto::INT);
    proto.set_i(value);
  }
  void operator()(float value) const {
    proto.set_type(onnx::AttributeProto::FLOAT);
    proto.set_f(value);
  }
  void operator()(const std::string& value) const {
    proto.set_type(onnx::AttributeProto::STRING);
    proto.set_s(value);
  }
  void operator()(const std::vector<int64_t>& values) const {
    proto.set_type(onnx::AttributeProto::INTS);
    for (const int64_t value : values) proto.add_ints(value);
  }
  void operator()(const std::vector<std::string>& values) const {
    proto.set_type(onnx::AttributeProto::STRINGS);
    for (const std::string& value : values) proto.add_strings(value);
  }
  void operator()(const std::shared_ptr<const onnx::GraphProto>& graph) const {
    proto.set_type(onnx::AttributeProto::GRAPH);
    *proto.mutable_g() = *graph;
  }
  void operator()(const std::vector<float>& values) const {
    proto.set_type(onnx::AttributeProto::FLOATS);
    for (const float value : values) proto.add_floats(value);
  }
};

template <typename T>
HostTensor host_tensor(DType dtype, std::vector<int64_t> dims, const std::vector<T>& values) {
  HostTensor tensor(dtype, std::move(dims));
  std::copy(values.begin(), values.end(), tensor.mutable_data<T>().begin());
  return tensor;
}

// Subgraphs see the value by its name too.
void rename_input(onnx::NodeProto& node, const std::string& value, const std::string& name) {
  for (std::string& input : *node.mutable_input()) {
    if (input == value) input = name;
  }
  for_each_subgraph(node, [&](onnx::GraphProto& graph) {
    for (onnx::NodeProto& inner : *graph.mutable_node()) rename_input(inner, value, name);
  });
}

}  // namespace

int onnx_element_type(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return onnx::TensorProto::FLOAT;
    case DType::kF64:
      return onnx::TensorProto::DOUBLE;
    case DType::kF16:
      return onnx::TensorProto::FLOAT16;
    case DType::kBF16:
      return onnx::TensorProto::BFLOAT16;
    case DType::kI8:
      return onnx::TensorProto::INT8;
    case DType::kU8:
      return onnx::TensorProto::UINT8;
    case DType::kI16:
      return onnx::TensorProto::INT16;
    case DType::kI32:
      return onnx::TensorProto::INT32;
    case DType::kI64:
      return onnx::TensorProto::INT64;
    case DType::kBool:
      return onnx::TensorProto::BOOL;
  }
  return onnx::TensorProto::UNDEFINED;
}

OnnxBuilder::OnnxBuilder(int opset) : opset_(opset), model_(std::make_unique<onnx::ModelProto>()) {}
OnnxBuilder::~OnnxBuilder() = default;

std::unique_ptr<onnx::ModelProto> OnnxBuilder::release() { return std::move(model_); }

std::string OnnxBuilder::unique(const std::string& hint) { return unique_in(taken_, hint); }

void OnnxBuilder::begin(std::string prefix, std::string doc_string) {
  prefix_ = std::move(prefix);
  doc_string_ = std::move(doc_string);
  first_of_node_ = graph().node_size();
}

onnx::GraphProto& OnnxBuilder::graph() {
  return levels_.empty() ? *model_->mutable_graph() : *levels_.back().graph;
}

void OnnxBuilder::open_subgraph(const std::string& name) {
  levels_.push_back({std::make_shared<onnx::GraphProto>(), place()});
  graph().set_name(name);
  first_of_node_ = 0;
}

std::shared_ptr<onnx::GraphProto> OnnxBuilder::close_subgraph() {
  FXQ_CHECK(!levels_.empty(), "no subgraph is open");
  Level level = std::move(levels_.back());
  levels_.pop_back();
  resume(std::move(level.outside));
  return std::move(level.graph);
}

void OnnxBuilder::resume(Place place) {
  prefix_ = std::move(place.prefix);
  doc_string_ = std::move(place.doc_string);
  first_of_node_ = place.first_of_node;
}

std::string OnnxBuilder::add(std::string op_type, std::vector<std::string> inputs,
                             OnnxAttributes attributes) {
  return add_many({std::move(op_type), std::move(inputs), std::move(attributes), ""}, 1)[0];
}

std::vector<std::string> OnnxBuilder::add_many(OnnxCall call, size_t outputs) {
  onnx::NodeProto& node = *graph().add_node();
  node.set_op_type(call.op_type);
  node.set_name(unique_in(node_names_, prefix_ + "/" + call.op_type));
  if (!call.domain.empty()) node.set_domain(call.domain);
  if (!doc_string_.empty()) node.set_doc_string(doc_string_);
  while (!call.inputs.empty() && call.inputs.back().empty()) call.inputs.pop_back();
  for (const std::string& input : call.inputs) node.add_input(input);
  for (const auto& [name, value] : call.attributes) {
    onnx::AttributeProto& attribute = *node.add_attribute();
    attribute.set_name(name);
    std::visit(AttributeWriter{attribute}, value);
  }
  std::vector<std::string> names;
  for (size_t i = 0; i < outputs; ++i) {
    names.push_back(unique(prefix_ + "." + call.op_type));
    node.add_output(names.back());
  }
  return names;
}

bool OnnxBuilder::rename(const std::string& value, const std::string& name) {
  bool found = false;
  auto& nodes = *graph().mutable_node();
  for (int i = first_of_node_; i < nodes.size(); ++i) {
    for (std::string& output : *nodes[i].mutable_output()) {
      if (output != value) continue;
      output = name;
      found = true;
    }
  }
  for (int i = first_of_node_; found && i < nodes.size(); ++i) rename_input(nodes[i], value, name);
  return found;
}

bool OnnxBuilder::makes(const std::string& value) const {
  const onnx::GraphProto& graph = levels_.empty() ? model_->graph() : *levels_.back().graph;
  return std::any_of(graph.node().begin(), graph.node().end(), [&](const onnx::NodeProto& node) {
    return std::find(node.output().begin(), node.output().end(), value) != node.output().end();
  });
}

void OnnxBuilder::drop_since_begin() {
  auto& nodes = *graph().mutable_node();
  nodes.DeleteSubrange(first_of_node_, nodes.size() - first_of_node_);
}

std::string OnnxBuilder::initializer(const std::string& name, const HostTensor& tensor) {
  onnx::TensorProto& proto = *model_->mutable_graph()->add_initializer();
  proto.set_name(unique(name));
  proto.set_data_type(onnx_element_type(tensor.dtype()));
  for (const int64_t dim : tensor.dims()) proto.add_dims(dim);
  proto.set_raw_data(tensor.bytes(), tensor.byte_size());
  return proto.name();
}

std::string OnnxBuilder::ints(const std::vector<int64_t>& values) {
  return initializer(prefix_ + ".ints",
                     host_tensor(DType::kI64, {static_cast<int64_t>(values.size())}, values));
}

std::string OnnxBuilder::int_scalar(int64_t value) {
  return initializer(prefix_ + ".int", host_tensor<int64_t>(DType::kI64, {}, {value}));
}

std::string OnnxBuilder::floats(const std::vector<float>& values) {
  return initializer(prefix_ + ".floats",
                     host_tensor(DType::kF32, {static_cast<int64_t>(values.size())}, values));
}

std::string OnnxBuilder::scalar(DType dtype, double value) {
  const std::string name = prefix_ + ".value";
  switch (dtype) {
    case DType::kF64:
      return initializer(name, host_tensor<double>(dtype, {}, {value}));
    case DType::kI64:
      return initializer(name, host_tensor<int64_t>(dtype, {}, {static_cast<int64_t>(value)}));
    case DType::kI32:
      return initializer(name, host_tensor<int32_t>(dtype, {}, {static_cast<int32_t>(value)}));
    case DType::kI16:
      return initializer(name, host_tensor<int16_t>(dtype, {}, {static_cast<int16_t>(value)}));
    case DType::kI8:
      return initializer(name, host_tensor<int8_t>(dtype, {}, {static_cast<int8_t>(value)}));
    case DType::kU8:
      return initializer(name, host_tensor<uint8_t>(dtype, {}, {static_cast<uint8_t>(value)}));
    case DType::kBool:
      return initializer(name, host_tensor<bool>(dtype, {}, {value != 0.0}));
    default:
      break;
  }
  const std::string single =
      initializer(name, host_tensor<float>(DType::kF32, {}, {static_cast<float>(value)}));
  if (dtype == DType::kF32) return single;
  return add("Cast", {single}, {{"to", static_cast<int64_t>(onnx_element_type(dtype))}});
}

}  // namespace fxq
