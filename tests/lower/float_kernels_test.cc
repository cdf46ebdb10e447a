// Float ops that the runtime computes by itself: such a program needs no LibTorch.
#include <ATen/Context.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/softmax.h>
#include <gtest/gtest.h>

#include "fxq/graph/tensor_convert.h"
#include "fxq/graph/text.h"
#include "fxq/runtime/executor.h"
#include "fxq/runtime/lower/lower.h"
#include "fxq/tracer/shape_prop.h"

namespace fxq {
namespace {

TEST(FloatKernels, SoftmaxesRunWithoutLibTorch) {
  auto gm = parse_text(R"(
graph (%x: f32[2,5,70]) {
  %rows = softmax(%x, -1)
  %columns = softmax(%x, 1)
  %logs = log_softmax(%x, 2)
  %halves = log_softmax(%x, 0)
  return (%rows, %columns, %logs, %halves)
}
)");
  ASSERT_TRUE(gm.ok()) << gm.status();
  gm->eval();
  at::manual_seed(5);
  const at::Tensor x = at::randn({2, 5, 70}) * 5;
  ASSERT_TRUE(propagate_shapes(*gm, {x}).ok());
  const auto program = lower(*gm);
  ASSERT_TRUE(program.ok()) << program.status();
  const auto executor = Executor::create(*program);  // no provider
  ASSERT_TRUE(executor.ok()) << executor.status();
  const HostTensor input = to_host_tensor(x).value();
  const auto outputs = (*executor)->run({&input, 1});
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  const at::Tensor wanted[] = {at::softmax(x, -1), at::softmax(x, 1), at::log_softmax(x, 2),
                               at::log_softmax(x, 0)};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_TRUE(to_at_tensor(outputs->at(i)).allclose(wanted[i], 1e-5, 1e-6)) << i;
  }
}

}  // namespace
}  // namespace fxq
