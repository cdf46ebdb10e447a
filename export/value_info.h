// Inputs and outputs of the model: ValueInfoProtos from our types, and their names.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "fxq/export/onnx_export.h"
#include "fxq/export/onnx_graph.h"

namespace onnx {
class ModelProto;
class ValueInfoProto;
}  // namespace onnx

namespace fxq {

// InvalidArgument if rank or dtype is unknown: ONNX's inputs have both.
absl::Status add_graph_input(onnx::ModelProto& model, const std::string& name, const Type& type);

// dtype, and the sizes that are known, of a tensor.
void write_tensor_type(const Type& type, onnx::ValueInfoProto& info);

// Declares the outputs, with an Identity where a value cannot be one: inputs, initializers, a
// second use. Returns which name each value shall have.
std::map<std::string, std::string> add_graph_outputs(OnnxBuilder& builder,
                                                     std::vector<OnnxOutput>& outputs,
                                                     const ExportOptions& options);

// Renames values everywhere; a value that has a new name already gets another one.
void rename_values(OnnxBuilder& builder, const std::map<std::string, std::string>& names);

// "f32[N,3,224,224]" of a model's inputs (initializers left out) and outputs.
std::vector<ExportSummary::Value> describe_inputs(const onnx::ModelProto& model);
std::vector<ExportSummary::Value> describe_outputs(const onnx::ModelProto& model);

}  // namespace fxq
