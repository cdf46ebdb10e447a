// Hybrid graphs: as one program, as segments, and by the reference: the same bytes. Programs of ops
// that are computed through floats equal their reference kernels.
#include "fxq/runtime/lower/segmented.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "fxq/graph/text.h"
#include "fxq/quant/compare.h"
#include "fxq/quant/convert_fx.h"
#include "fxq/quant/prepare_fx.h"
#include "fxq/runtime/executor.h"
#include "fxq/runtime/lower/aten_kernels.h"
#include "fxq/runtime/lower/lower.h"
#include "quantized_net.h"

namespace fxq {
namespace {

at::Tensor seeded(const Type& type, uint64_t seed) {
  std::vector<int64_t> sizes;
  for (const Dim& dim : *type.dims) sizes.push_back(dim.size);
  auto generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  return at::randn(sizes, generator);
}

std::vector<c10::IValue> inputs_of(const GraphModule& gm, uint64_t seed) {
  std::vector<c10::IValue> inputs;
  for (const Node* node : gm.graph().placeholders()) {
    inputs.emplace_back(seeded(node->type, seed + inputs.size()));
  }
  return inputs;
}

absl::StatusOr<QuantizedGraph> quantized(const std::string& text, const PrepareOptions& options,
                                         const std::string& dtype = "qint8") {
  auto gm = parse_text(text);
  if (!gm.ok()) return gm.status();
  QConfigDict qconfigs;
  qconfigs.global = *get_default_calib_qconfig(dtype);
  auto observed = prepare_calibration_fx(*gm, qconfigs, options);
  if (!observed.ok()) return observed.status();
  for (uint64_t seed = 1; seed < 4; ++seed) {
    const auto ran = observed->forward(inputs_of(*gm, seed));
    if (!ran.ok()) return ran.status();
  }
  return convert_fx(*observed);
}

// The whole graph as one program; its bytes against the reference's.
std::string program_difference(const QuantizedGraph& model) {
  auto program = lower(model.graph_module());
  if (!program.ok()) return program.status().ToString();
  ExecutorOptions options;
  options.provider = aten_kernels();
  auto executor = Executor::create(*std::move(program), options);
  if (!executor.ok()) return executor.status().ToString();
  std::vector<std::vector<int64_t>> shapes;
  for (const Node* node : model.graph_module().graph().placeholders()) {
    shapes.emplace_back();
    for (const Dim& dim : *node->type.dims) shapes.back().push_back(dim.size);
  }
  return difference(model, **executor, shapes);
}

constexpr const char* kHybrid = R"(
module @a = conv2d(weight: f32[8,4,3,3], bias: f32[8], padding=[1,1])
module @b = conv2d(weight: f32[8,8,1,1], bias: none)
module @c = conv2d(weight: f32[4,8,1,1], bias: none)
state * = normal(5, 0.3)
graph (%x: f32[2,4,8,8]) {
  %a = conv2d @a(%x) : f32[2,8,8,8]
  %r = relu(%a) : f32[2,8,8,8]
  %s = selu(%r) : f32[2,8,8,8]
  %b = conv2d @b(%s) : f32[2,8,8,8]
  %t = tanh(%r) : f32[2,8,8,8]
  %m = mul(%b, %t) : f32[2,8,8,8]
  %h = chunk(%m, 2, 1) : (f32[2,4,8,8], f32[2,4,8,8])
  %u = getitem(%h, 0) : f32[2,4,8,8]
  %v = getitem(%h, 1) : f32[2,4,8,8]
  %w = mish(%u) : f32[2,4,8,8]
  %z = cat([%w,%v], 1) : f32[2,8,8,8]
  %y = conv2d @c(%z) : f32[2,4,8,8]
  return (%y, %w, %s)
}
)";

PrepareOptions hybrid(March march) {
  PrepareOptions options;
  options.march = march;
  options.hybrid = true;
  return options;
}

// Bit for bit.
void expect_segments_give_the_whole(const QuantizedGraph& model) {
  auto segmented = SegmentedModel::create(model);
  ASSERT_TRUE(segmented.ok()) << segmented.status();
  const auto inputs = inputs_of(model.graph_module(), 9);
  const auto expected = model.forward(inputs);
  ASSERT_TRUE(expected.ok()) << expected.status();
  const Partitions partitions = partition(model.graph_module());
  const auto actual = segmented->run(inputs);
  ASSERT_TRUE(actual.ok()) << actual.status() << partitions.to_string();
  const auto wanted = flatten_tensors(*expected), got = flatten_tensors(*actual);
  ASSERT_EQ(wanted.size(), got.size());
  for (size_t i = 0; i < wanted.size(); ++i) EXPECT_TRUE(at::equal(wanted[i], got[i])) << i;
  EXPECT_EQ(segmented->segments(), static_cast<int>(partitions.segments.size()));
  EXPECT_EQ(segmented->copies(), static_cast<int64_t>(partitions.boundaries.size()));
  EXPECT_EQ(segmented->copied_bytes(), partitions.bytes()) << partitions.to_string();
}

TEST(SegmentedTest, SegmentsGiveWhatTheWholeGives) {
  const auto model = quantized(kHybrid, hybrid(March::BAYES));
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(program_difference(*model), "");
  expect_segments_give_the_whole(*model);
}

// A class token is expanded to the batch of a value of the CPU: "no segment has computed %s", for
// segment 0 needed what segment 1 gives.
TEST(SegmentedTest, SizesAreReadWhereTheyAreKnown) {
  const auto model = quantized(R"(
module @a = conv2d(weight: f32[8,4,1,1], bias: none)
module @b = conv2d(weight: f32[8,8,1,1], bias: none)
state * = normal(5, 0.3)
graph (%x: f32[2,4,8,8], %token: f32[1,8,8,8]) {
  %a = conv2d @a(%x) : f32[2,8,8,8]
  %s = selu(%a) : f32[2,8,8,8]
  %n = size(%s, 0) : int
  %t = tanh(%token) : f32[1,8,8,8]
  %e = expand(%t, [%n,-1,-1,-1]) : f32[2,8,8,8]
  %c = cat([%e,%s], 2) : f32[2,8,16,8]
  %b = conv2d @b(%c) : f32[2,8,16,8]
  return %b
}
)",
                               hybrid(March::BAYES));
  ASSERT_TRUE(model.ok()) << model.status();
  expect_segments_give_the_whole(*model);
}

// Parts of a CPU op's results, as integers and as floats: "no segment has computed %u".
TEST(SegmentedTest, PartsAreReadInTheirOwnSegment) {
  const auto model = quantized(R"(
module @b = conv2d(weight: f32[8,4,1,1], bias: none)
state * = normal(5, 0.3)
graph (%x: f32[2,8,8,8]) {
  %s = selu(%x) : f32[2,8,8,8]
  %m = max_dim(%s, 1, true) : (f32[2,1,8,8], i64[2,1,8,8])
  %u = getitem(%m, 0) : f32[2,1,8,8]
  %c = cat([%u,%u,%u,%u], 1) : f32[2,4,8,8]
  %b = conv2d @b(%c) : f32[2,8,8,8]
  return (%b, %u)
}
)",
                               PrepareOptions());
  ASSERT_TRUE(model.ok()) << model.status();
  expect_segments_give_the_whole(*model);
}

// One size of a CPU op's value is read by that op's segment and by a later one: "no segment has
// computed %s".
TEST(SegmentedTest, ASizeIsReadByTwoSegments) {
  const auto model = quantized(R"(
module @a = conv2d(weight: f32[8,4,1,1], bias: none)
module @b = conv2d(weight: f32[8,8,1,1], bias: none)
state * = normal(5, 0.3)
graph (%x: f32[2,4,8,8]) {
  %a = conv2d @a(%x) : f32[2,8,8,8]
  %s = selu(%a) : f32[2,8,8,8]
  %n = size(%s, 0) : int
  %r = reshape(%s, [%n,8,16,4]) : f32[2,8,16,4]
  %m = mish(%r) : f32[2,8,16,4]
  %b = conv2d @b(%m) : f32[2,8,16,4]
  %v = reshape(%b, [%n,8,8,8]) : f32[2,8,8,8]
  %w = selu(%v) : f32[2,8,8,8]
  return %w
}
)",
                               hybrid(March::BAYES));
  ASSERT_TRUE(model.ok()) << model.status();
  expect_segments_give_the_whole(*model);
}

// The first state of an LSTM cell: "no segment has computed %zeros_q".
TEST(SegmentedTest, ConstantsComeAlong) {
  const auto model = quantized(R"(
module @a = conv2d(weight: f32[8,4,1,1], bias: none)
state * = normal(5, 0.3)
graph (%x: f32[2,4,8,8]) {
  %a = conv2d @a(%x) : f32[2,8,8,8]
  %n = size(%x, 0) : int
  %zeros = zeros([%n,8,8,8]) : f32[2,8,8,8]
  %s = selu(%a) : f32[2,8,8,8]
  %c = cat([%zeros,%a,%s], 1) : f32[2,24,8,8]
  return %c
}
)",
                               hybrid(March::BAYES));
  ASSERT_TRUE(model.ok()) << model.status();
  expect_segments_give_the_whole(*model);
}

// Integer and float ops in one CPU segment: "no segment has computed %r_dq".
TEST(SegmentedTest, AMarchWithoutABpuIsOneSegment) {
  PrepareOptions cpu;
  const auto model = quantized(kHybrid, cpu);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_GT(model->report.count(OpMode::kInt8), 0);
  EXPECT_EQ(partition(model->graph_module()).segments.size(), 1u);
  expect_segments_give_the_whole(*model);
  const auto with_floats = quantized(R"(
module @a = conv2d(weight: f32[8,4,1,1], bias: none)
module @b = conv2d(weight: f32[8,8,1,1], bias: none)
state * = normal(5, 0.3)
graph (%x: f32[2,4,8,8]) {
  %a = conv2d @a(%x) : f32[2,8,8,8]
  %s = softmax(%a, 1) : f32[2,8,8,8]
  %b = conv2d @b(%s) : f32[2,8,8,8]
  return %b
}
)",
                                     cpu);
  ASSERT_TRUE(with_floats.ok()) << with_floats.status();
  EXPECT_EQ(with_floats->report.count(OpMode::kFloat), 1);
  expect_segments_give_the_whole(*with_floats);
}

struct OpCase {
  const char* name;
  const char* body;
  const char* dtype = "qint8";
};

void PrintTo(const OpCase& c, std::ostream* out) { *out << c.name; }

class BpuProgramTest : public ::testing::TestWithParam<OpCase> {};

TEST_P(BpuProgramTest, EqualsReference) {
  const std::string text = std::string(R"(
module @a = conv2d(weight: f32[8,3,3,3], bias: f32[8], padding=[1,1])
module @b = conv2d(weight: f32[8,3,3,3], bias: f32[8], padding=[1,1])
module @prelu = prelu(weight: f32[8])
module @norm = layer_norm(weight: f32[8], bias: f32[8], normalized_shape=[8])
state * = normal(3, 0.3)
graph (%x: f32[2,3,8,8]) {
  %a = conv2d @a(%x) : f32[2,8,8,8]
  %b = conv2d @b(%x) : f32[2,8,8,8]
  )") + GetParam().body + "\n  return %y\n}\n";
  PrepareOptions options;
  options.march = March::BAYES;
  const auto model = quantized(text, options, GetParam().dtype);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(program_difference(*model), "");
}

constexpr OpCase kOps[] = {
    {"maximum", "%y = maximum(%a, %b) : f32[2,8,8,8]"},
    {"div16", "%e = exp(%b) : f32[2,8,8,8]\n %y = div(%a, %e) : f32[2,8,8,8]", "qint16"},
    {"softmax", "%y = softmax(%a, 1) : f32[2,8,8,8]"},
    {"layer_norm", "%y = layer_norm @norm(%a) : f32[2,8,8,8]"},
    {"sum", "%y = sum(%a, [1], true) : f32[2,1,8,8]"},
    {"matmul", "%m = matmul(%a, %b) : f32[2,8,8,8]\n %y = tanh(%m) : f32[2,8,8,8]"},
    {"expand",
     "%m = mean(%a, [2], true) : f32[2,8,1,8]\n %y = expand(%m, [2,8,4,8]) : f32[2,8,4,8]"},
    {"topk",
     "%t = topk(%a, 3, 1) : (f32[2,3,8,8], i64[2,3,8,8])\n %y = getitem(%t, 0) : f32[2,3,8,8]"},
    {"gather",
     "%t = topk(%b, 1, 1) : (f32[2,1,8,8], i64[2,1,8,8])\n %i = getitem(%t, 1) : i64[2,1,8,8]\n"
     " %y = gather(%a, 1, %i) : f32[2,1,8,8]"},
    {"gt", "%y = gt(%a, %b) : bool[2,8,8,8]"},
    {"scaled_sum", "%y = add(%a, %b, alpha=2) : f32[2,8,8,8]"},
    {"computed_scalar", "%n = size(%a, 1) : int\n %y = div_scalar(%a, %n) : f32[2,8,8,8]"},
    {"prelu16", "%y = prelu @prelu(%a) : f32[2,8,8,8]", "qint16"},
    {"elementwise16",
     "%s = sigmoid(%a) : f32[2,8,8,8]\n %m = mul(%s, %b) : f32[2,8,8,8]\n"
     " %c = cat([%m,%a], 1) : f32[2,16,8,8]\n %y = add_scalar(%c, 1.5) : f32[2,16,8,8]",
     "qint16"},
};

INSTANTIATE_TEST_SUITE_P(All, BpuProgramTest, ::testing::ValuesIn(kOps),
                         [](const auto& info) { return std::string(info.param.name); });

// Whole int16 programs of trained and of real architectures.
TEST(SegmentedTest, Int16ProgramsEqualTheReference) {
  for (const char* name : {"digits", "onet", "mobilenet_v2"}) {
    const std::string stem = std::string(FXQ_MODELS_DIR) + "/" + name;
    const FixtureNet net{stem + ".script.pt", stem + ".calib.npy"};
    if (!exists(net)) GTEST_SKIP() << "make the fixture models first";
    QuantizeNetOptions options;
    options.samples = 2;
    options.qconfig = *get_default_calib_qconfig("qint16");
    const auto model = quantize(net, options);
    ASSERT_TRUE(model.ok()) << name << model.status();
    EXPECT_GT(model->report.count(OpMode::kInt16), 3) << name;
    EXPECT_EQ(program_difference(*model), "") << name;
  }
}

}  // namespace
}  // namespace fxq
