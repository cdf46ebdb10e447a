// Programs that hold embedded TorchScript: control flow that depends on the data.
#include <ATen/ops/ones.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/api/module.h>

#include "fxq/base/safetensors.h"
#include "fxq/graph/tensor_convert.h"
#include "fxq/runtime/executor.h"
#include "fxq/runtime/lower/aten_kernels.h"
#include "fxq/runtime/lower/lower.h"
#include "fxq/tracer/trace.h"
#include "script_net.h"

namespace fxq {
namespace {

using lower_test::program_of;
using ::testing::HasSubstr;

ExecutorOptions trusting() {
  ExecutorOptions options;
  AtenOptions aten;
  aten.allow_torchscript = true;
  options.provider = aten_kernels(aten);
  return options;
}

std::string scaled_by(int factor) {
  return "def forward(self, x):\n  if bool(x.sum() > 0):\n    y = x * " + std::to_string(factor) +
         "\n  else:\n    y = x\n  return y\n";
}

// Two files, one after the other at one address, with one provider.
TEST(TorchScriptPrograms, AProviderKeepsFilesApart) {
  const ExecutorOptions options = trusting();
  for (const int factor : {2, 5}) {
    const auto program = program_of(scaled_by(factor), {at::ones({2, 3})});
    ASSERT_TRUE(program.ok()) << program.status();
    Artifact artifact;
    program->to_artifact(artifact);
    const std::string path = ::testing::TempDir() + "fxq_script.fxq";
    ASSERT_TRUE(save_artifact(artifact, path).ok());
    const auto executor = load_program(path, options);
    ASSERT_TRUE(executor.ok()) << executor.status();
    const HostTensor x = to_host_tensor(at::ones({2, 3})).value();
    const auto outputs = (*executor)->run({&x, 1});
    ASSERT_TRUE(outputs.ok()) << outputs.status();
    EXPECT_EQ(outputs->at(0).data<float>()[0], static_cast<float>(factor));
  }
}

// A program would start each call with what calibration left there.
TEST(TorchScriptPrograms, StateIsRefused) {
  torch::jit::Module optional("Net");
  optional.register_attribute("h", c10::OptionalType::create(c10::TensorType::get()),
                              c10::IValue());
  torch::jit::Module buffer("Net");
  buffer.register_buffer("h", at::ones({2, 3}));
  for (torch::jit::Module& module : std::vector<torch::jit::Module>{optional, buffer}) {
    module.define(
        "def forward(self, x):\n  h = self.h\n  y = x if h is None else x + h\n  self.h = y\n"
        "  return y\n");
    const auto gm = trace(module);
    ASSERT_TRUE(gm.ok()) << gm.status();
    const absl::Status refused = lower(*gm).status();
    EXPECT_THAT(std::string(refused.message()), HasSubstr("keeps a state from one call"));
  }
}

// The branch that is taken decides whether there is a tensor at all.
TEST(TorchScriptPrograms, WhatATenThrowsIsAStatus) {
  const auto program = program_of(
      "def forward(self, x):\n  y : Optional[Tensor] = None\n  if bool(x.sum() > 0):\n    y = x\n"
      "  return y\n",
      {at::ones({2, 3})});
  if (!program.ok()) return;  // refused even earlier
  const auto executor = Executor::create(*program, trusting());
  ASSERT_TRUE(executor.ok()) << executor.status();
  const HostTensor x = to_host_tensor(-at::ones({2, 3})).value();
  const auto outputs = (*executor)->run({&x, 1});
  EXPECT_FALSE(outputs.ok());
}

}  // namespace
}  // namespace fxq
