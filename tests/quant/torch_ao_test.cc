// The same training by Debian's torch.ao and by us: losses of the first 20 steps, where fake quants
// stand, and their scales.
#include <ATen/ops/cross_entropy_loss.h>
#include <gtest/gtest.h>
#include <torch/optim/sgd.h>

#include <map>

#include "absl/strings/str_split.h"
#include "fxq/base/file.h"
#include "fxq/quant/fake_quantize.h"
#include "fxq/quant/prepare_fx.h"
#include "fxq/tracer/shape_prop.h"
#include "fxq/tracer/trace.h"
#include "torch_ao_run.h"

namespace fxq {
namespace {

using TorchAoTest = quant_test::TorchAoRun;

// qint8 everywhere, as torch.ao was told; ours would use quint8 behind a relu.
ObservedGraphModule prepared(const std::string& path, const at::Tensor& example) {
  auto gm = trace_file(path);
  EXPECT_TRUE(gm.ok()) << gm.status();
  gm->eval();  // shapes are found without moving statistics
  EXPECT_TRUE(propagate_shapes(*gm, {example}).ok());
  gm->train();
  QatQConfigOptions options;
  options.backend = "bpu";
  QConfigDict dict;
  dict.global = *get_default_qat_qconfig(options);
  auto model = prepare_qat_fx(*gm, dict);
  EXPECT_TRUE(model.ok()) << model.status();
  return *std::move(model);
}

TEST_F(TorchAoTest, TheSameLossesPositionsAndScales) {
  ASSERT_NO_FATAL_FAILURE(run("torch_ao_qat.py"));
  if (IsSkipped()) return;
  const at::Tensor x = array("x.npy"), y = array("y.npy"), losses = array("losses.npy");
  const auto model = prepared(path("model.pt"), x[0]);
  torch::optim::SGD optimizer(model.graph_module().parameters(),
                              torch::optim::SGDOptions(0.01).momentum(0.9));
  for (int64_t step = 0; step < losses.numel(); ++step) {
    optimizer.zero_grad();
    auto out = model.forward({x[step]});
    ASSERT_TRUE(out.ok()) << out.status();
    const at::Tensor loss = at::cross_entropy_loss(out->toTensor().mean({2, 3}), y[step]);
    loss.backward();
    optimizer.step();
    EXPECT_NEAR(loss.item<double>(), losses[step].item<double>(), 1e-3) << step;
  }
  const auto text = read_file(path("positions.txt"));
  const std::vector<std::string> positions = absl::StrSplit(*text, '\n', absl::SkipEmpty());
  // Fused values have the name of their last member here, of their first there.
  const std::map<std::string, std::string> first_member = {
      {"relu1", "conv1"}, {"relu2", "conv2"}, {"bn3", "conv3"}};
  std::vector<double> scales;
  std::vector<std::string> names;
  for (const Node* node : model.graph_module().graph().nodes()) {
    if (!node->is(NodeKind::kCallModule)) continue;
    const auto fake_quant =
        std::dynamic_pointer_cast<FakeQuantize>(model.graph_module().module(node->target()));
    if (!fake_quant) continue;
    const std::string& name = node->args()[0].node()->name();
    const auto member = first_member.find(name);
    names.push_back(member == first_member.end() ? name : member->second);
    scales.push_back(fake_quant->scale().item<float>());
  }
  const at::Tensor theirs = array("scales.npy");
  EXPECT_EQ(names, positions);
  ASSERT_EQ(scales.size(), positions.size());
  for (size_t i = 0; i < scales.size(); ++i) {
    const double expected = theirs[static_cast<int64_t>(i)].item<double>();
    EXPECT_NEAR(scales[i], expected, 1e-3 * expected) << positions[i];
  }
}

}  // namespace
}  // namespace fxq
