// The same nets calibrated by Debian's torch.ao and by us, both with min_max and symmetric 8-bit
// scales: where observers stand, and their scales to float precision.
#include <gtest/gtest.h>

#include <map>
#include <sstream>

#include "fxq/base/file.h"
#include "fxq/quant/fake_quantize.h"
#include "fxq/quant/prepare_fx.h"
#include "fxq/tracer/shape_prop.h"
#include "fxq/tracer/trace.h"
#include "torch_ao_run.h"

namespace fxq {
namespace {

using Scales = std::map<std::string, double>;  // by observed value

// Where we differ, and why.
const std::map<std::string, std::map<std::string, std::string>> kDifferences = {
    {"Residual",
     {{"bn2", "inside of a fused op: the add reads what the convolution sums up, unrounded"},
      {"pool", "a mean has a scale of its own, finer than that of what it averages"},
      {"flatten", "moves integers"}}},
    {"Branches",
     {{"pool", "moves integers"},
      {"relu2",
       "a cat's input keeps its own scale; optimize_graph gives all the cat's, as there"}}},
};

class TorchAoPtqTest : public quant_test::TorchAoRun {
 protected:
  Scales theirs(const std::string& net) const {
    Scales scales;
    const auto text = read_file(path(net + ".txt"));
    EXPECT_TRUE(text.ok()) << text.status();
    std::istringstream lines(text.value_or(""));
    std::string name;
    for (double scale = 0; lines >> name >> scale;) scales[name] = scale;
    return scales;
  }

  Scales ours(const std::string& net) const {
    const at::Tensor batches = array(net + ".npy");
    auto gm = trace_file(path(net + ".pt"));
    EXPECT_TRUE(gm.ok()) << gm.status();
    if (!gm.ok()) return {};
    EXPECT_TRUE(propagate_shapes(*gm, {batches[0]}).ok());
    QConfigDict dict;
    dict.global = *get_default_calib_qconfig("qint8", {{"observer", "min_max"}}, "bpu");
    const auto observed = prepare_calibration_fx(*gm, dict);
    EXPECT_TRUE(observed.ok()) << observed.status();
    if (!observed.ok()) return {};
    for (int64_t i = 0; i < batches.size(0); ++i) {
      EXPECT_TRUE(observed->forward({batches[i]}).ok());
    }
    return scales_of(observed->graph_module());
  }

  static Scales scales_of(const GraphModule& gm) {
    Scales scales;
    for (const Node* node : gm.graph().nodes()) {
      if (!node->is(NodeKind::kCallModule)) continue;
      const auto module = std::dynamic_pointer_cast<FakeQuantize>(gm.module(node->target()));
      if (!module) continue;
      scales[node->args()[0].node()->name()] = module->scale().item<double>();
    }
    return scales;
  }
};

TEST_F(TorchAoPtqTest, TheSamePositionsAndScales) {
  ASSERT_NO_FATAL_FAILURE(run("torch_ao_ptq.py"));
  if (IsSkipped()) return;
  for (const std::string net : {"Residual", "Branches", "Gates", "Dense"}) {
    const auto listed = kDifferences.find(net);
    const auto differences =
        listed == kDifferences.end() ? std::map<std::string, std::string>() : listed->second;
    const Scales expected = theirs(net), actual = ours(net);
    EXPECT_GE(actual.size(), 4u) << net;
    for (const auto& [value, scale] : actual) EXPECT_EQ(expected.count(value), 1u) << net << value;
    for (const auto& [value, scale] : expected) {
      const auto own = actual.find(value);
      const bool same = own != actual.end() && std::abs(own->second - scale) <= 1e-6 * scale;
      EXPECT_EQ(same, differences.count(value) == 0)
          << net << " " << value << ": " << scale << " there, here "
          << (own == actual.end() ? "nothing" : std::to_string(own->second));
    }
  }
}

}  // namespace
}  // namespace fxq
