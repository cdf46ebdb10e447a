// A QDQ model is cut at every "<node>_q" (export/cut_model.h): one run compares all nodes, each on
// the reference's inputs.
#include "compare.h"

#include <ATen/core/Tensor.h>
#include <onnx/onnx_pb.h>

#include <cmath>

#include "fxq/base/status.h"
#include "fxq/export/cut_model.h"
#include "fxq/export/onnx_model.h"
#include "fxq/quant/compare.h"
#include "fxq/runtime/isa.h"

namespace fxq::export_test {
namespace {

std::unique_ptr<onnx::ModelProto> build(const GraphModule& gm, const std::vector<c10::IValue>& args,
                                        ExportOptions options, const std::string& tag) {
  options.enable_onnx_checker = true;
  ExportSummary summary;
  auto model = build_onnx_model(gm, args, options, summary);
  EXPECT_TRUE(model.ok()) << tag << ": " << model.status();
  if (!model.ok()) return nullptr;
  EXPECT_TRUE(summary.fallthrough.empty()) << tag << ": " << summary.fallthrough[0];
  return *std::move(model);
}

Tensors named_inputs(const onnx::ModelProto& model, const std::vector<c10::IValue>& input) {
  Tensors tensors;
  for (size_t i = 0; i < input.size(); ++i) {
    tensors[model.graph().input(static_cast<int>(i)).name()] = input[i].toTensor().contiguous();
  }
  return tensors;
}

std::vector<std::string> output_names(const onnx::ModelProto& model) {
  std::vector<std::string> names;
  for (const auto& output : model.graph().output()) names.push_back(output.name());
  return names;
}

std::vector<at::Tensor> in_order(const Tensors& tensors, const std::vector<std::string>& names) {
  std::vector<at::Tensor> result;
  for (const std::string& name : names) result.push_back(tensors.at(name));
  return result;
}

ExportOptions qdq_options() {
  ExportOptions options;
  options.opset_version = 13;
  return options;
}

}  // namespace

void expect_same_floats(const FloatNet& net, const FloatCheck& check) {
  const auto model = build(net.graph, net.input, check.options, check.tag);
  if (!model) return;
  const auto expected = net.graph.forward(net.input);
  ASSERT_TRUE(expected.ok()) << check.tag << ": " << expected.status();
  const std::vector<std::string> names = output_names(*model);
  const auto actual = run_onnx_runtime(*model, named_inputs(*model, net.input), names);
  ASSERT_TRUE(actual.ok()) << check.tag << ": " << actual.status();
  const std::vector<at::Tensor> wanted = flatten_tensors(*expected);
  const std::vector<at::Tensor> got = in_order(*actual, names);
  ASSERT_EQ(wanted.size(), got.size()) << check.tag;
  for (size_t i = 0; i < wanted.size(); ++i) {
    ASSERT_EQ(wanted[i].sizes(), got[i].sizes()) << check.tag;
    const at::Tensor reference = wanted[i].to(at::kDouble);
    const double difference = (reference - got[i].to(at::kDouble)).abs().max().item<double>();
    const double largest = std::max(1e-6, reference.abs().max().item<double>());
    EXPECT_LE(difference / largest, check.tolerance) << check.tag << ", output " << names[i];
  }
}

void expect_nodes_within_one_step(const QuantizedGraph& model,
                                  const std::vector<c10::IValue>& input, int opset) {
  ExportOptions options = qdq_options();
  options.opset_version = opset;
  expect_nodes_within(model.graph_module(), input, {options});
}

void expect_nodes_within(const GraphModule& model, const std::vector<c10::IValue>& input,
                         const NodeCheck& check) {
  const auto proto = build(model, input, check.options, "QDQ");
  if (!proto) return;
  const auto integers = file_integers(model, input);
  ASSERT_TRUE(integers.ok()) << integers.status();
  const CutModel parts = cut_at_integers(*proto, *integers);
  ASSERT_FALSE(parts.nodes.empty());
  std::vector<std::string> names;
  for (const std::string& node : parts.nodes) names.push_back(node + "_q");
  Tensors inputs = named_inputs(*proto, input);
  inputs.insert(parts.inputs.begin(), parts.inputs.end());
  // There is nothing to compare with where ONNX Runtime's own integer kernels saturate.
  if (check.options.quant_format == QuantFormat::kQOperator && !has_vnni()) return;
  const auto actual = run_onnx_runtime(*proto, inputs, names);
  ASSERT_TRUE(actual.ok()) << actual.status();
  int64_t differing = 0, total = 0;
  for (const std::string& node : parts.nodes) {
    const at::Tensor difference =
        (integers->at(node).to(at::kInt) - actual->at(node + "_q").to(at::kInt)).abs();
    EXPECT_LE(difference.max().item<int>(), check.steps) << "%" << node;
    differing += difference.ne(0).sum().item<int64_t>();
    total += difference.numel();
  }
  EXPECT_LE(static_cast<double>(differing), check.differing * static_cast<double>(total));
  ::testing::Test::RecordProperty("nodes", static_cast<int>(parts.nodes.size()));
}

absl::StatusOr<std::vector<at::Tensor>> run_qdq_model(const QuantizedGraph& model,
                                                      const std::vector<c10::IValue>& input) {
  const auto proto = build(model.graph_module(), input, qdq_options(), "QDQ");
  if (!proto) return absl::InternalError("no model");
  const std::vector<std::string> names = output_names(*proto);
  // Without VNNI its integer kernels saturate.
  FXQ_ASSIGN_OR_RETURN(const Tensors actual,
                       run_onnx_runtime(*proto, named_inputs(*proto, input), names,
                                        has_vnni() ? Optimizations::kOn : Optimizations::kOff));
  return in_order(actual, names);
}

}  // namespace fxq::export_test
