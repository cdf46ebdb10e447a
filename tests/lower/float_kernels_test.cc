// Float ops that the runtime computes by itself: such a program needs no LibTorch.
#include <ATen/Context.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/softmax.h>
#include <gtest/gtest.h>

#include "fxq/graph/tensor_convert.h"
#include "fxq/graph/text.h"
#include "fxq/quant/convert_fx.h"
#include "fxq/quant/fuse_fx.h"
#include "fxq/quant/prepare_fx.h"
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

// Its integers never are: the layer gives floats from its accumulator.
TEST(OutQConfig, AProgramsFloatsAreTheReferences) {
  auto gm = parse_text(R"(
module @a = conv2d(weight: f32[8,3,3,3], bias: f32[8])
module @b = conv2d(weight: f32[5,8,1,1], bias: f32[5])
module @fc = linear(weight: f32[4,8], bias: none)
state * = normal(7)
graph (%x: f32[2,3,9,7]) {
  %a = conv2d @a(%x)
  %b = conv2d @b(%a)
  %r = relu6(%b)
  %m = mean(%a, [2,3])
  %fc = linear @fc(%m)
  return (%r, %fc)
}
)");
  ASSERT_TRUE(gm.ok()) << gm.status();
  at::manual_seed(5);
  const at::Tensor x = at::randn({2, 3, 9, 7});
  ASSERT_TRUE(propagate_shapes(*gm, {x}).ok());
  QConfigDict dict;
  dict.global = get_default_calib_qconfig().value();
  dict.module_name = {{"b", get_default_qat_out_qconfig().value()},
                      {"fc", get_default_qat_out_qconfig().value()}};
  const auto observed = prepare_calibration_fx(fuse_fx(*gm).value(), dict);
  ASSERT_TRUE(observed.ok()) << observed.status();
  ASSERT_TRUE(observed->forward({x}).ok());
  const auto int8 = convert_fx(*observed);
  ASSERT_TRUE(int8.ok()) << int8.status();
  const auto expected = int8->forward({x});
  ASSERT_TRUE(expected.ok()) << expected.status();
  const auto program = lower(int8->graph_module());
  ASSERT_TRUE(program.ok()) << program.status();
  const auto executor = Executor::create(*program);
  ASSERT_TRUE(executor.ok()) << executor.status();
  const HostTensor input = to_host_tensor(x).value();
  const auto outputs = (*executor)->run({&input, 1});
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_TRUE(to_at_tensor(outputs->at(i)).equal(expected->toTuple()->elements()[i].toTensor()));
  }
}

}  // namespace
}  // namespace fxq
