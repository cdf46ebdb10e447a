// One file, made from the first input, for all inputs: the module itself says what is right.
#include "flow_case.h"

#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "../tracer/script_source.h"
#include "compare.h"
#include "fxq/export/onnx_model.h"
#include "fxq/quant/compare.h"

namespace fxq::export_test {

void PrintTo(const FlowCase& one, std::ostream* out) { *out << one.name; }

at::Tensor input_of(const FlowCase& one, double mean) {
  at::manual_seed(11);
  return at::randn(one.shape) * 0.5 + mean;
}

GraphModule traced(const torch::jit::Module& module) {
  auto gm = trace(module);
  EXPECT_TRUE(gm.ok()) << gm.status();
  if (gm.ok()) gm->eval();
  return gm.ok() ? *std::move(gm) : GraphModule();
}

ExportOptions only_onnx(int opset) {
  ExportOptions options;
  options.opset_version = opset;
  options.operator_export_type = OperatorExportTypes::kOnnx;
  options.enable_onnx_checker = true;
  return options;
}

void expect_same_as_module(const onnx::ModelProto& proto, torch::jit::Module module,
                           const at::Tensor& x) {
  std::vector<std::string> names;
  for (const auto& output : proto.graph().output()) names.push_back(output.name());
  const auto actual = run_onnx_runtime(proto, {{proto.graph().input(0).name(), x}}, names);
  ASSERT_TRUE(actual.ok()) << actual.status();
  const std::vector<at::Tensor> wanted = flatten_tensors(module.forward({x.clone()}));
  ASSERT_EQ(wanted.size(), names.size());
  for (size_t i = 0; i < names.size(); ++i) {
    const at::Tensor& got = actual->at(names[i]);
    ASSERT_EQ(wanted[i].sizes(), got.sizes()) << "mean " << x.mean().item<float>();
    EXPECT_EQ(wanted[i].scalar_type(), got.scalar_type()) << names[i];
    if (wanted[i].numel() == 0) continue;
    const at::Tensor reference = wanted[i].to(at::kDouble);
    const double difference = (reference - got.to(at::kDouble)).abs().max().item<double>();
    const double largest = std::max(1.0, reference.abs().max().item<double>());
    EXPECT_LE(difference / largest, 1e-5) << "mean " << x.mean().item<float>();
  }
}

void expect_every_way_agrees(const FlowCase& one, const ExportOptions& options,
                             const std::vector<std::vector<int64_t>>& others) {
  const torch::jit::Module module = script_module(one.source);
  ExportSummary summary;
  const auto proto =
      build_onnx_model(traced(module), {input_of(one, one.means[0])}, options, summary);
  ASSERT_TRUE(proto.ok()) << one.name << ": " << proto.status();
  for (const auto& [op_type, count] : one.operators) {
    EXPECT_EQ(summary.operators[op_type], count) << op_type;
  }
  std::vector<std::vector<int64_t>> shapes = others;
  shapes.push_back(one.shape);
  for (const std::vector<int64_t>& shape : shapes) {
    FlowCase sized = one;
    sized.shape = shape;
    for (const double mean : one.means) {
      expect_same_as_module(**proto, module, input_of(sized, mean));
    }
  }
}

absl::Status export_status(const char* source, const ExportOptions& options,
                           ExportSummary* summary) {
  const torch::jit::Module module = script_module(source);
  ExportSummary own;
  return build_onnx_model(traced(module), {at::randn({2, 3, 5, 5})}, options,
                          summary ? *summary : own)
      .status();
}

}  // namespace fxq::export_test
