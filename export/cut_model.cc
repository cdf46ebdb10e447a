// Conv -> "c_q" -> DQ -> Conv -> "d_q"     ->     Conv -> "c_q" (output)
//                                                 "c_ref" (input) -> DQ -> Conv -> "d_q" (output)
#include "fxq/export/cut_model.h"

#include <ATen/core/Tensor.h>
#include <onnx/onnx_pb.h>

#include <set>

#include "fxq/base/status.h"
#include "fxq/export/onnx_builder.h"
#include "fxq/export/prepared_form.h"
#include "fxq/graph/tensor_convert.h"
#include "fxq/quant/compare.h"

namespace fxq {
namespace {

void declare(onnx::ValueInfoProto& info, const std::string& name, const at::Tensor& value) {
  info.set_name(name);
  auto& type = *info.mutable_type()->mutable_tensor_type();
  type.set_elem_type(onnx_element_type(*dtype_of(value)));
  for (int64_t i = 0; i < value.dim(); ++i) type.mutable_shape()->add_dim();
}

at::Tensor stored(const at::Tensor& reals, double scale, DType dtype) {
  const bool shifted = dtype == DType::kI8;
  const at::Tensor steps = (reals.to(at::kDouble) / scale).round();
  const DType stored = shifted ? DType::kU8 : dtype;
  return (shifted ? steps + 128 : steps)
      .to(static_cast<at::ScalarType>(scalar_type_number(stored)));
}

}  // namespace

absl::StatusOr<std::map<std::string, at::Tensor>> file_integers(
    const GraphModule& model, const std::vector<c10::IValue>& inputs) {
  FXQ_ASSIGN_OR_RETURN(GraphModule copy, exportable_copy(model));
  copy.eval();
  FXQ_ASSIGN_OR_RETURN(const auto values, record_values(copy, inputs));
  std::map<std::string, at::Tensor> integers;
  for (const Node* node : copy.graph().nodes()) {
    const auto value = values.find(node->name());
    if (value == values.end() || node->is(NodeKind::kGetAttr)) continue;
    if (node->type.is_quantized()) {
      integers[node->name()] = stored(value->second, node->type.qparams->scale, *node->type.dtype);
    } else if (const auto type = fake_quantized_type(copy, *node)) {
      integers[node->name()] = stored(value->second, type->qparams->scale, *type->dtype);
    }
  }
  return integers;
}

CutModel cut_at_integers(onnx::ModelProto& model,
                         const std::map<std::string, at::Tensor>& integers) {
  CutModel result;
  onnx::GraphProto& graph = *model.mutable_graph();
  std::set<std::string> written;
  for (const auto& node : graph.node()) written.insert(node.output().begin(), node.output().end());
  for (const auto& [name, value] : integers) {
    if (written.count(name + "_q") == 0) continue;
    result.nodes.push_back(name);
    declare(*graph.add_output(), name + "_q", value);
    declare(*graph.add_input(), name + "_ref", value);
    result.inputs[name + "_ref"] = value.contiguous();
    for (auto& node : *graph.mutable_node()) {
      for (std::string& input : *node.mutable_input()) {
        if (input == name + "_q") input = name + "_ref";
      }
    }
  }
  return result;
}

}  // namespace fxq
