// Every ONNX cell of the op table in float, each opset that has forms of its own: what ONNX Runtime
// computes. One graph holds a family, because starting ONNX Runtime takes longer than running it.
#include <gtest/gtest.h>

#include "compare.h"
#include "fxq/graph/ops/op_def.h"

namespace fxq::export_test {
namespace {

constexpr const char* kWeighted = R"(
module @c1 = conv1d(weight: f32[6,2,3], bias: f32[6], stride=[2], padding=[1], groups=2)
module @c2 = conv2d(weight: f32[6,4,3,3], bias: none, padding=[1,2], dilation=[2,1])
module @c3 = conv3d(weight: f32[3,4,2,2,2], bias: f32[3])
module @t1 = conv_transpose1d(weight: f32[4,3,3], bias: f32[3], stride=[2], output_padding=[1])
module @t2 = conv_transpose2d(weight: f32[4,3,3,3], bias: f32[6], stride=[2,2], padding=[1,1], groups=2)
module @t3 = conv_transpose3d(weight: f32[4,2,2,2,2], bias: f32[2])
module @fc = linear(weight: f32[5,7], bias: f32[5])
module @fc2 = linear(weight: f32[5,7], bias: none)
state @c1.weight = normal(1)
state @c1.bias = normal(2)
state @c2.weight = normal(3)
state @c3.weight = normal(4)
state @c3.bias = normal(5)
state @t1.weight = normal(6)
state @t1.bias = normal(7)
state @t2.weight = normal(8)
state @t2.bias = normal(9)
state @t3.weight = normal(10)
state @t3.bias = normal(11)
state @fc.weight = normal(12)
state @fc.bias = normal(13)
state @fc2.weight = normal(14)
graph (%a: f32[2,4,7], %b: f32[2,4,7,7], %c: f32[2,4,5,5,5]) {
  %c1 = conv1d @c1(%a)
  %c2 = conv2d @c2(%b)
  %c3 = conv3d @c3(%c)
  %t1 = conv_transpose1d @t1(%a)
  %t2 = conv_transpose2d @t2(%b)
  %t3 = conv_transpose3d @t3(%c)
  %row = select(%a, 1, 0)
  %fc = linear @fc(%row)
  %fc2 = linear @fc2(%b)
  %fc3 = linear @fc(%a)
  return (%c1, %c2, %c3, %t1, %t2, %t3, %fc, %fc2, %fc3)
}
)";

constexpr const char* kNorms = R"(
module @bn = batch_norm(weight: f32[4], bias: f32[4], running_mean: f32[4], running_var: f32[4], momentum=0.1, eps=0.001, cudnn_enabled=true)
module @in = instance_norm(weight: f32[4], bias: f32[4], running_mean: none, running_var: none, use_input_stats=true, momentum=0.1, eps=0.00001, cudnn_enabled=true)
module @ln = layer_norm(weight: f32[5,6], bias: f32[5,6], normalized_shape=[5,6])
module @gn = group_norm(weight: f32[4], bias: f32[4], num_groups=2)
state @bn.weight = normal(1)
state @bn.bias = normal(2)
state @bn.running_mean = normal(3)
state @bn.running_var = uniform(4, 0.5, 2.0)
state @in.weight = normal(5)
state @in.bias = normal(6)
state @ln.weight = normal(7)
state @ln.bias = normal(8)
state @gn.weight = normal(9)
state @gn.bias = normal(10)
graph (%x: f32[2,4,5,6]) {
  %bn = batch_norm @bn(%x)
  %in = instance_norm @in(%x)
  %ln = layer_norm @ln(%x)
  %gn = group_norm @gn(%x)
  return (%bn, %in, %ln, %gn)
}
)";

constexpr const char* kActivations = R"(
module @prelu = prelu(weight: f32[4])
module @one = prelu(weight: f32[1])
state @prelu.weight = uniform(1, 0.1, 0.4)
state @one.weight = uniform(2, 0.1, 0.4)
graph (%x: f32[2,4,5]) {
  %a0 = relu(%x)
  %a1 = relu6(%x)
  %a2 = sigmoid(%x)
  %a3 = tanh(%x)
  %a4 = silu(%x)
  %a5 = gelu(%x)
  %a6 = gelu(%x, approximate="tanh")
  %a7 = hardsigmoid(%x)
  %a8 = hardswish(%x)
  %a9 = hardtanh(%x, -0.5, 0.75)
  %b0 = leaky_relu(%x, 0.2)
  %b1 = elu(%x, 0.7)
  %b2 = selu(%x)
  %b3 = celu(%x, 0.8)
  %b4 = mish(%x)
  %b5 = softplus(%x, 2.0, 1.5)
  %b6 = softplus(%x)
  %b7 = log_sigmoid(%x)
  %b8 = exp(%x)
  %b9 = abs(%x)
  %c0 = log(%b8)
  %c1 = sqrt(%b9)
  %c2 = rsqrt(%b8)
  %c3 = reciprocal(%b8)
  %c4 = neg(%x)
  %c5 = erf(%x)
  %c6 = sin(%x)
  %c7 = cos(%x)
  %c8 = square(%x)
  %c9 = pow(%b9, 1.5)
  %d0 = floor(%x)
  %d1 = ceil(%x)
  %d2 = clamp(%x, -0.25)
  %d3 = clamp(%x, none, 0.25)
  %d4 = clamp_min(%x, 0.1)
  %d5 = clamp_max(%x, 0.1)
  %d6 = prelu @prelu(%x)
  %d7 = prelu @one(%x)
  %d8 = atan(%x)
  return (%a0, %a1, %a2, %a3, %a4, %a5, %a6, %a7, %a8, %a9, %b0, %b1, %b2, %b3, %b4, %b5, %b6, %b7, %b8, %b9, %c0, %c1, %c2, %c3, %c4, %c5, %c6, %c7, %c8, %c9, %d0, %d1, %d2, %d3, %d4, %d5, %d6, %d7, %d8)
}
)";

constexpr const char* kArithmetic = R"(
module @table = embedding(weight: f32[16,6])
state @table.weight = normal(9)
graph (%x: f32[2,4,5], %y: f32[2,4,5], %m: f32[2,5,3]) {
  %a = add(%x, %y)
  %b = add(%x, %y, alpha=2)
  %c = sub(%x, %y, alpha=0.5)
  %d = mul(%x, %y)
  %e = div(%x, %y)
  %f = add_scalar(%x, 1.5)
  %g = sub_scalar(%x, 1.5, 2)
  %h = rsub_scalar(%x, 3, 2)
  %i = mul_scalar(%x, -2)
  %j = div_scalar(%x, 4)
  %k = maximum(%x, %y)
  %l = minimum(%x, %y)
  %n = matmul(%x, %m)
  %o = bmm(%x, %m)
  %p = cat([%x, %y, %x], 1)
  %q = stack([%x, %y], -1)
  %r = argmax(%x, 1)
  %s = embedding @table(%r)
  %t = sign(%x)
  %u = glu(%x, 1)
  %v = cumsum(%x, -1)
  return (%a, %b, %c, %d, %e, %f, %g, %h, %i, %j, %k, %l, %n, %o, %p, %q, %r, %s, %t, %u, %v)
}
)";

// Opset 11 has no Einsum.
constexpr const char* kEinsum = R"(
graph (%x: f32[2,4,5], %y: f32[5,3]) {
  %a = einsum("bij,jk->bik", [%x, %y])
  return %a
}
)";

constexpr const char* kChoosing = R"(
graph (%x: f32[2,4,5], %y: f32[2,4,5], %i: f32[2,4,1]) {
  %a = gt(%x, %y)
  %b = ge(%x, %y)
  %c = lt(%x, %i)
  %d = le(%x, %y)
  %e = eq(%x, %x)
  %f = ne(%x, %y)
  %g = gt_scalar(%x, 0.25)
  %h = ge_scalar(%x, 0)
  %j = lt_scalar(%x, 1)
  %k = le_scalar(%x, -0.5)
  %l = eq_scalar(%x, 0.0)
  %m = ne_scalar(%x, 0.0)
  %n = logical_not(%a)
  %o = bitwise_not(%b)
  %p = logical_and(%a, %g)
  %q = logical_or(%a, %k)
  %r = bitwise_and(%c, %j)
  %s = bitwise_or(%c, %j)
  %t = where(%a, %x, %i)
  %u = masked_fill(%x, %g, -3)
  %zero = sum_all(%y)
  %v = masked_fill_tensor(%x, %k, %zero)
  %w = to_dtype(%a, f32)
  %z = to_dtype(%x, i64)
  %aa = eq(%z, %y)
  return (%a, %b, %c, %d, %e, %f, %g, %h, %j, %k, %l, %m, %n, %o, %p, %q, %r, %s, %t, %u, %v, %w, %z, %aa)
}
)";

constexpr const char* kFilling = R"(
graph (%x: f32[2,4,5], %y: f32[2,4,1], %z: f32[2,2,5]) {
  %n = size(%x, 0)
  %a = zeros([%n, 3])
  %b = ones([%n, 3])
  %c = full([%n, 2], 0.5)
  %d = new_zeros(%x, [%n, 3])
  %e = new_ones(%x, [%n, 3])
  %f = new_full(%x, [%n, 3], 2)
  %g = zeros_like(%x)
  %h = ones_like(%x)
  %i = full_like(%x, 0.25)
  %j = fill_scalar(%x, 0.75)
  %one = sum_all(%y)
  %k = fill_tensor(%x, %one)
  %l = zero(%x)
  %m = copy(%x, %y)
  %o = slice_scatter(%x, %z, 1, 1, 3)
  %p = slice_scatter(%x, %z, 1, 0, 4, 2)
  %q = slice_scatter(%x, %z, 1, -2)
  %row = select(%z, 1, 0)
  %r = select_scatter(%x, %row, 1, 2)
  %s = select_scatter(%x, %row, -2, -1)
  return (%a, %b, %c, %d, %e, %f, %g, %h, %i, %j, %k, %l, %m, %o, %p, %q, %r, %s)
}
)";

constexpr const char* kPooling = R"(
graph (%x: f32[2,4,11,10], %v: f32[2,4,9]) {
  %a = max_pool2d(%x, [3,3], [2,2], [1,1])
  %b = max_pool2d(%x, [3,3], [2,2], [0,0], [1,1], true)
  %c = max_pool2d(%x, [2,2])
  %d = max_pool1d(%v, [3], [2])
  %e = avg_pool2d(%x, [3,3], [2,2], [1,1])
  %f = avg_pool2d(%x, [3,3], [2,2], [1,1], false, false)
  %g = avg_pool2d(%x, [3,2], [2,2], [1,0], true, true)
  %h = avg_pool2d(%x, [3,3], [2,2], [1,1], false, true, 5)
  %i = avg_pool1d(%v, [2])
  %j = adaptive_avg_pool2d(%x, [1,1])
  %k = adaptive_avg_pool2d(%x, [11,5])
  %l = adaptive_avg_pool2d(%x, [3,4])
  %m = adaptive_avg_pool1d(%v, [4])
  %n = mean(%x, [2,3], true)
  %o = mean(%x, [1])
  %p = sum(%x, [0,2])
  %q = softmax(%x, 1)
  %r = log_softmax(%x, -1)
  %s = argmax(%x)
  %t = argmax(%x, -1, true)
  return (%a, %b, %c, %d, %e, %f, %g, %h, %i, %j, %k, %l, %m, %n, %o, %p, %q, %r, %s, %t)
}
)";

constexpr const char* kReductions = R"(
graph (%x: f32[2,4,10,10], %v: f32[2,4,6,9,8]) {
  %a = max_pool3d(%v, [2,3,2], [2,2,2], [1,1,1])
  %b = avg_pool3d(%v, [2,2,2])
  %c = avg_pool3d(%v, [3,3,3], [2,2,2], [1,1,1])
  %d = adaptive_avg_pool3d(%v, [1,1,1])
  %e = adaptive_avg_pool3d(%v, [3,3,4])
  %f = adaptive_max_pool2d(%x, [1,1])
  %f0 = getitem(%f, 0)
  %g = adaptive_max_pool2d(%x, [5,2])
  %g0 = getitem(%g, 0)
  %h = mean_all(%x)
  %i = sum_all(%x)
  %j = max_all(%x)
  %k = min_all(%x)
  %l = amax(%x, [1,-1])
  %m = amin(%x, [2], true)
  %n = max_dim(%x, 1)
  %n0 = getitem(%n, 0)
  %n1 = getitem(%n, 1)
  %o = min_dim(%x, -1, true)
  %o0 = getitem(%o, 0)
  %p = norm(%x, 2, [1], true)
  %q = norm(%x, 1, [1,2])
  %r = topk(%x, 3, 1)
  %r0 = getitem(%r, 0)
  %r1 = getitem(%r, 1)
  return (%a, %b, %c, %d, %e, %f0, %g0, %h, %i, %j, %k, %l, %m, %n0, %n1, %o0, %p, %q, %r0, %r1)
}
)";

constexpr const char* kIndexing = R"(
buffer @index : i64[4]
state @index = values([3, 0, 3, 1])
graph (%x: f32[2,8,3,4], %w: f32[2,3,5], %v: f32[2,3,4,5,6]) {
  %index = get_attr @index
  %a = unbind(%x, 1)
  %a0 = getitem(%a, 0)
  %a7 = getitem(%a, -1)
  %b = narrow(%x, 1, 2, 3)
  %c = narrow(%x, -1, -3, 2)
  %d = index_select(%x, 1, %index)
  %e = index(%x, [none, none, none, %index])
  %f = roll(%x, [1,-2], [2,3])
  %g = flip(%x, [1,3])
  %h = pad_mode(%x, [1,2,0,1], "reflect")
  %i = pad_mode(%x, [1,2,2,1], "replicate")
  %j = pad_mode(%x, [1,2,2,1], "circular")
  %k = reflection_pad1d(%w, [2,1])
  %l = reflection_pad2d(%x, [1,2,1,0])
  %m = reflection_pad3d(%v, [1,2,1,0,2,1])
  %n = replication_pad1d(%w, [2,1])
  %o = replication_pad2d(%x, [1,2,1,0])
  %p = replication_pad3d(%v, [1,2,1,0,2,1])
  return (%a0, %a7, %b, %c, %d, %e, %f, %g, %h, %i, %j, %k, %l, %m, %n, %o, %p)
}
)";

constexpr const char* kRecurrent = R"(
parameter @w : f32[16,6]
parameter @r : f32[16,4]
parameter @w2 : f32[16,4]
parameter @b : f32[16]
parameter @c : f32[16]
parameter @gw : f32[12,6]
parameter @gr : f32[12,4]
parameter @gb : f32[12]
parameter @gc : f32[12]
state @w = normal(1, 0.5)
state @r = normal(2, 0.5)
state @w2 = normal(3, 0.5)
state @b = normal(4)
state @c = normal(5)
state @gw = normal(6)
state @gr = normal(7)
state @gb = normal(8)
state @gc = normal(9)
graph (%x: f32[2,5,6], %h: f32[1,2,4], %s: f32[1,2,4], %h2: f32[2,2,4], %s2: f32[2,2,4], %h3: f32[1,5,4]) {
  %w = get_attr @w
  %r = get_attr @r
  %w2 = get_attr @w2
  %b = get_attr @b
  %c = get_attr @c
  %gw = get_attr @gw
  %gr = get_attr @gr
  %gb = get_attr @gb
  %gc = get_attr @gc
  %one = lstm(%x, [%h, %s], [%w, %r, %b, %c], true, 1, 0.0, false, false, true)
  %one0 = getitem(%one, 0)
  %one2 = getitem(%one, 2)
  %two = lstm(%x, [%h2, %s2], [%w, %r, %b, %c, %w2, %r, %b, %c], true, 2, 0.0, false, false, true)
  %two0 = getitem(%two, 0)
  %two1 = getitem(%two, 1)
  %both = lstm(%x, [%h2, %s2], [%w, %r, %w, %r], false, 1, 0.0, false, true, true)
  %both0 = getitem(%both, 0)
  %both2 = getitem(%both, 2)
  %gru = gru(%x, %h3, [%gw, %gr, %gb, %gc], true, 1, 0.0, false, false, false)
  %gru0 = getitem(%gru, 0)
  %gru1 = getitem(%gru, 1)
  return (%one0, %one2, %two0, %two1, %both0, %both2, %gru0, %gru1)
}
)";

constexpr const char* kMovement = R"(
graph (%x: f32[2,8,3,4], %u: f32[2,1,5]) {
  %shuffled = channel_shuffle(%x, 4)
  %a = flatten(%x, 1)
  %b = flatten(%x, 1, 2)
  %c = flatten(%x)
  %d = reshape(%x, [2,-1])
  %e = view(%x, [2,4,2,12])
  %f = unflatten(%x, 1, [2,4])
  %g = squeeze(%u)
  %h = squeeze_dim(%u, 1)
  %i = squeeze_dim(%u, 2)
  %j = unsqueeze(%x, -1)
  %k = permute(%x, [0,2,-1,1])
  %l = transpose(%x, 1, -1)
  %m = slice(%x, 1, 1, 7, 2)
  %n = slice(%x, 3, -2)
  %o = select(%x, 1, -1)
  %p = chunk(%x, 3, 1)
  %p0 = getitem(%p, 0)
  %p2 = getitem(%p, 2)
  %q = split(%x, 3, 1)
  %q1 = getitem(%q, 1)
  %r = split_with_sizes(%x, [1,2,5], 1)
  %r2 = getitem(%r, -1)
  %s = expand(%u, [2,3,-1])
  %t = repeat(%u, [2,1,3,1])
  %v = upsample_nearest2d(%x, [6,9], none)
  %w = upsample_nearest2d(%x, none, [2.0,3.0])
  %y = upsample_bilinear2d(%x, [5,7], false, none)
  %z = upsample_bilinear2d(%x, [5,7], true, none)
  %aa = pixel_shuffle(%x, 2)
  %ab = pad(%x, [1,2,0,1], 0.5)
  %ac = identity(%x)
  %ad = dropout(%x, 0.5, false)
  %ae = contiguous(%x)
  return (%shuffled, %a, %b, %c, %d, %e, %f, %g, %h, %i, %j, %k, %l, %m, %n, %o, %p0, %p2, %q1, %r2, %s, %t, %v, %w, %y, %z, %aa, %ab, %ac, %ad, %ae)
}
)";

// Sizes stay computed while the batch is symbolic.
constexpr const char* kSizes = R"(
graph (%x: f32[2,8,3,4]) {
  %n = size(%x, 0)
  %c = size(%x, 1)
  %half = floordiv_int(%c, 2)
  %a = view(%x, [%n, %half, 2, -1])
  %all = sizes(%x)
  %h = getitem(%all, 2)
  %b = add_int(%n, %h)
  %m = mul_int(%b, 1)
  %less = sub_int(%m, %n)
  %rest = remainder_int(%m, 3)
  %s = slice(%x, 2, 0, %less)
  %t = slice(%x, 3, 0, %rest)
  %r = reshape(%x, [%n, -1])
  return (%a, %s, %t, %r)
}
)";

struct Family {
  std::string name, text;
};

class OpTest : public ::testing::TestWithParam<Family> {};

TEST_P(OpTest, FloatAgrees) {
  if (!has_onnx_runtime()) GTEST_SKIP() << "no ONNX Runtime: run ./dev setup";
  const FloatNet net = text_net(GetParam().text);
  ASSERT_GT(net.graph.graph().size(), 0U);
  for (const int opset : {11, 13, 17}) {
    FloatCheck check;
    check.options.opset_version = opset;
    check.options.operator_export_type = OperatorExportTypes::kOnnx;
    check.tag = GetParam().name + " at opset " + std::to_string(opset);
    expect_same_floats(net, check);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Families, OpTest,
    ::testing::Values(Family{"weighted", kWeighted}, Family{"norms", kNorms},
                      Family{"activations", kActivations}, Family{"arithmetic", kArithmetic},
                      Family{"pooling", kPooling}, Family{"movement", kMovement},
                      Family{"sizes", kSizes}, Family{"reductions", kReductions},
                      Family{"choosing", kChoosing}, Family{"filling", kFilling},
                      Family{"indexing", kIndexing}, Family{"recurrent", kRecurrent}),
    [](const auto& info) { return info.param.name; });

TEST(OpTest, EinsumNeedsOpset12) {
  if (!has_onnx_runtime()) GTEST_SKIP() << "no ONNX Runtime: run ./dev setup";
  FloatCheck check;
  check.options.opset_version = 13;
  check.tag = "einsum";
  expect_same_floats(text_net(kEinsum), check);
}

TEST(OpTest, SymbolicSizes) {
  if (!has_onnx_runtime()) GTEST_SKIP() << "no ONNX Runtime: run ./dev setup";
  const FloatNet net = text_net(kSizes);
  FloatCheck check;
  check.options.opset_version = 13;
  check.options.dynamic_axes = {{"x", {{0, "N"}, {2, "H"}}}};
  check.tag = "sizes with symbols";
  expect_same_floats(net, check);
}

// A new ONNX cell needs a line above.
TEST(OpTest, EveryCellIsTested) {
  const std::string all = std::string(kWeighted) + kNorms + kActivations + kArithmetic + kPooling +
                          kMovement + kSizes + kReductions + kChoosing + kFilling + kIndexing +
                          kRecurrent + kEinsum;
  for (const OpDef& def : op_table()) {
    if (def.onnx.empty()) continue;
    const bool quantization = def.name.find("quant") != std::string::npos;
    const bool nothing = def.onnx == "Identity";
    if (quantization || nothing) continue;
    const std::string call = "= " + std::string(def.name);
    const bool found =
        all.find(call + "(") != std::string::npos || all.find(call + " @") != std::string::npos;
    EXPECT_TRUE(found) << def.name << " has an ONNX cell and no test";
  }
}

}  // namespace
}  // namespace fxq::export_test
