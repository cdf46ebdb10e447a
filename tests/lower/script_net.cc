// Traced with the example, lowered, run.
#include "script_net.h"

#include <gtest/gtest.h>

#include "fxq/graph/tensor_convert.h"
#include "fxq/quant/compare.h"
#include "fxq/runtime/lower/aten_kernels.h"
#include "fxq/runtime/lower/lower.h"
#include "fxq/tracer/trace.h"

namespace fxq::lower_test {
namespace {

absl::StatusOr<Program> lowered(const torch::jit::Module& module,
                                const std::vector<c10::IValue>& example) {
  TraceOptions options;
  options.example_inputs = example;
  const auto gm = trace(module, options);
  if (!gm.ok()) return gm.status();
  return lower(*gm);
}

}  // namespace

absl::StatusOr<Program> program_of(const std::string& forward,
                                   const std::vector<c10::IValue>& example) {
  torch::jit::Module module("Net");
  module.define(forward);
  module.eval();
  return lowered(module, example);
}

ScriptNet::ScriptNet(const std::string& forward, const std::vector<c10::IValue>& example) {
  module.define(forward);
  module.eval();
  auto program = lowered(module, example);
  EXPECT_TRUE(program.ok()) << program.status();
  if (!program.ok()) return;
  ExecutorOptions how;
  how.profile = true;
  AtenOptions aten;
  aten.allow_torchscript = true;
  how.provider = aten_kernels(aten);
  auto made = Executor::create(*std::move(program), how);
  EXPECT_TRUE(made.ok()) << made.status();
  if (made.ok()) executor = *std::move(made);
}

absl::StatusOr<std::vector<HostTensor>> ScriptNet::run(
    const std::vector<at::Tensor>& inputs) const {
  if (!executor) return absl::FailedPreconditionError("there is no program");
  std::vector<HostTensor> tensors;
  for (const at::Tensor& input : inputs) {
    tensors.push_back(to_host_tensor(input.contiguous()).value());
  }
  return executor->run(tensors);
}

void ScriptNet::expect_equal(const std::vector<at::Tensor>& inputs) const {
  const auto outputs = run(inputs);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  torch::jit::Module net = module;
  const std::vector<at::Tensor> expected =
      flatten_tensors(net.forward({inputs.begin(), inputs.end()}));
  ASSERT_EQ(outputs->size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_TRUE(at::equal(to_at_tensor((*outputs)[i]), expected[i])) << "output " << i;
  }
}

}  // namespace fxq::lower_test
