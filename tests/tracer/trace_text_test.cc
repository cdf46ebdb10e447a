// TorchScript text -> graph text, each graph also run against the module it came from.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "script_source.h"

namespace fxq {
namespace {

struct Case {
  const char* name;
  const char* source;
  const char* graph;
  std::vector<int64_t> shape = {2, 3, 6, 6};
};

void PrintTo(const Case& one, std::ostream* out) { *out << one.name; }

class TraceText : public ::testing::TestWithParam<Case> {};

TEST_P(TraceText, IsExpectedAndComputesTheSame) {
  const torch::jit::Module module = script_module(GetParam().source);
  EXPECT_EQ(traced_text(module), std::string(GetParam().graph) + "\n");
  auto gm = trace(module);
  ASSERT_TRUE(gm.ok()) << gm.status();
  at::manual_seed(11);
  expect_equal_results(module, *gm, {at::randn(GetParam().shape)});
}

const Case kFolding[] = {
    {"KnownConditionsAndLoops", R"(
def forward(self, x):
    if self.training:
        x = x * 5.0
    for i in range(2):
        if i == 1:
            x = x + float(i)
    return x
)",
     R"(graph (%x) {
  %add = add_scalar(%x, 1.0)
  return %add
})"},
    {"ContainersLeaveNoNodes", R"(
def forward(self, x):
    parts = [x, x.relu()]
    parts.append(x.sigmoid())
    named = {"a": parts[1], "b": parts[-1]}
    y, z = (named["a"], named["b"])
    return torch.cat([y, z, parts[0]], 1)
)",
     R"(graph (%x) {
  %relu = relu(%x)
  %sigmoid = sigmoid(%x)
  %cat = cat([%relu, %sigmoid, %x], 1)
  return %cat
})"},
    {"DictsMadeByCallsLeaveNoNodes", R"(
def forward(self, x):
    parts: Dict[str, Tensor] = dict()
    parts["out"] = x.relu()
    return parts["out"]
)",
     R"(graph (%x) {
  %relu = relu(%x)
  return %relu
})"},
    {"OutputsKeepTheirStructure", R"(
def forward(self, x):
    return {"a": x.relu(), "b": -x}
)",
     R"(graph (%x) {
  %relu = relu(%x)
  %neg = neg(%x)
  return {"a": %relu, "b": %neg}
})"},
    {"SizesStaySymbolic", R"(
def forward(self, x):
    n, c, h, w = x.shape
    return x.reshape([n, c * h, w // 2, 2])
)",
     R"(graph (%x) {
  %size_1 = size(%x, 0)
  %size_2 = size(%x, 1)
  %size_3 = size(%x, 2)
  %size_4 = size(%x, 3)
  %mul = mul_int(%size_2, %size_3)
  %floordiv = floordiv_int(%size_4, 2)
  %reshape = reshape(%x, [%size_1, %mul, %floordiv, 2])
  return %reshape
})"},
    {"SeveralResultsAreGetitems", R"(
def forward(self, x):
    values, indices = torch.max(x, 1)
    a, b = x.chunk(2, 2)
    return values, a + b
)",
     R"(graph (%x) {
  %max = max_dim(%x, 1)
  %getitem = getitem(%max, 0)
  %chunk = chunk(%x, 2, 2)
  %getitem_2 = getitem(%chunk, 0)
  %getitem_3 = getitem(%chunk, 1)
  %add = add(%getitem_2, %getitem_3)
  return (%getitem, %add)
})"},
    {"ProductsOfMatricesAreMatmulOrLinear", R"(
def forward(self, x):
    y = x.flatten(0, 2).narrow(1, 0, 3)
    return torch.mm(y, self.m.t()).sum() + torch.mm(y, y.t())
)",
     R"(graph (%x) {
  %flatten = flatten(%x, 0, 2)
  %narrow = narrow(%flatten, 1, 0, 3)
  %m = get_attr @m
  %linear = linear(%narrow, %m)
  %sum = sum_all(%linear)
  %t = t(%narrow)
  %matmul = matmul(%narrow, %t)
  %add = add(%sum, %matmul)
  return %add
})"},
    {"MethodsAreReadInPlace", R"(
def twice(self, x):
    return x + x

def forward(self, x):
    return self.twice(self.twice(x))
)",
     R"(graph (%x) {
  %add = add(%x, %x)
  %add_1 = add(%add, %add)
  return %add_1
})"},
};

const Case kInPlace[] = {
    {"BecomesFunctional", R"(
def forward(self, x):
    y = x + 1
    z = y
    y.relu_()
    y += x
    return z
)",
     R"(graph (%x) {
  %add = add_scalar(%x, 1)
  %relu = relu(%add)
  %add_1 = add(%relu, %x)
  return %add_1
})"},
    {"InPlaceDropoutBecomesFunctional", R"(
def forward(self, x):
    y = x + x
    torch.dropout_(y, 0.2, False)
    return y
)",
     R"(graph (%x) {
  %add = add(%x, %x)
  %dropout = dropout(%add, 0.2, false)
  return %dropout
})"},
    {"KeepsWritesToInputs", R"(
def forward(self, x):
    x.mul_(2.0)
    return x + 1
)",
     R"(graph (%x) {
  %mul_ = aten::mul_.Scalar(%x, 2.0)
  %add = add_scalar(%mul_, 1)
  return %add
})"},
    {"WritesIntoViewsComeBackIntoLiveTensors", R"(
def forward(self, x):
    y = x + 1
    y[:, 0].mul_(3.0)
    return y
)",
     R"(graph (%x) {
  %add = add_scalar(%x, 1)
  %select = select(%add, 1, 0)
  %mul = mul_scalar(%select, 3.0)
  %select_scatter = select_scatter(%add, %mul, 1, 0)
  return %select_scatter
})"},
    {"WritesIntoViewsAreSeenThroughOtherViews", R"(
def forward(self, x):
    y = x + 1
    row = y[1]
    y[:, 0:1].unsqueeze(0).fill_(2.0)
    row.add_(1.0)
    return y, row
)",
     R"(graph (%x) {
  %add = add_scalar(%x, 1)
  %slice = slice(%add, 1, 0, 1)
  %unsqueeze = unsqueeze(%slice, 0)
  %fill = fill_scalar(%unsqueeze, 2.0)
  %squeeze = squeeze_dim(%fill, 0)
  %slice_scatter = slice_scatter(%add, %squeeze, 1, 0, 1)
  %select_1 = select(%slice_scatter, 0, 1)
  %add_1 = add_scalar(%select_1, 1.0)
  %select_scatter = select_scatter(%slice_scatter, %add_1, 0, 1)
  %select_2 = select(%select_scatter, 0, 1)
  return (%select_scatter, %select_2)
})"},
    {"WritesIntoTransposesAndDiagonals", R"(
def forward(self, x):
    y = x[0, 0] + 1
    y.t()[0].mul_(3.0)
    y.diagonal().mul_(2.0)
    return y
)",
     R"(graph (%x) {
  %select = select(%x, 0, 0)
  %select_1 = select(%select, 0, 0)
  %add = add_scalar(%select_1, 1)
  %t = t(%add)
  %select_2 = select(%t, 0, 0)
  %mul = mul_scalar(%select_2, 3.0)
  %select_scatter = select_scatter(%t, %mul, 0, 0)
  %t_1 = t(%select_scatter)
  %diagonal = diagonal(%t_1)
  %mul_1 = mul_scalar(%diagonal, 2.0)
  %diagonal_scatter = aten::diagonal_scatter(%t_1, %mul_1)
  return %diagonal_scatter
})"},
    {"CopiesBetweenPartsOfOneTensor", R"(
def forward(self, x):
    y = x + 1
    y[:, 0] = y[:, 1]
    return y
)",
     R"(graph (%x) {
  %add = add_scalar(%x, 1)
  %select = select(%add, 1, 1)
  %select_1 = select(%add, 1, 0)
  %copy = copy(%select_1, %select)
  %select_scatter = select_scatter(%add, %copy, 1, 0)
  return %select_scatter
})"},
    {"AddsToAPartInPlace", R"(
def forward(self, x):
    y = x + 1
    y[:, 1:2] += 2.0
    return y
)",
     R"(graph (%x) {
  %add = add_scalar(%x, 1)
  %slice = slice(%add, 1, 1, 2)
  %add_1 = add_scalar(%slice, 2.0)
  %slice_scatter = slice_scatter(%add, %add_1, 1, 1, 2)
  return %slice_scatter
})"},
    {"KeepsWritesThatReadTheirOwnMemory", R"(
def forward(self, x):
    y = x + 1
    y[:, 0] = y.transpose(2, 3)[:, 0]
    return y
)",
     R"(graph (%x) {
  %add = add_scalar(%x, 1)
  %transpose = transpose(%add, 2, 3)
  %select = select(%transpose, 1, 0)
  %select_1 = select(%add, 1, 0)
  %copy_ = aten::copy_(%select_1, %select)
  return %add
})"},
    {"ViewsOfDeadTensorsBecomeFunctional", R"(
def forward(self, x):
    y = (x + 1).flatten(1)
    return y.relu_()
)",
     R"(graph (%x) {
  %add = add_scalar(%x, 1)
  %flatten = flatten(%add, 1)
  %relu = relu(%flatten)
  return %relu
})"},
    {"DropoutMayBeItsInput", R"(
def forward(self, x):
    y = x + 1
    z = torch.dropout(y, 0.5, False)
    z.relu_()
    return y + z
)",
     R"(graph (%x) {
  %add = add_scalar(%x, 1)
  %dropout = dropout(%add, 0.5, false)
  %relu_ = aten::relu_(%dropout)
  %add_1 = add(%add, %relu_)
  return %add_1
})"},
};

const Case kCanonical[] = {
    {"Convolution", R"(
def forward(self, x):
    return torch._convolution(x, self.w, self.b, [2, 2], [1, 1], [1, 1], False, [0, 0], 1, False, False, True, True)
)",
     R"(graph (%x) {
  %w = get_attr @w
  %b = get_attr @b
  %conv2d = conv2d(%x, %w, %b, [2,2], [1,1])
  return %conv2d
})"},
    {"ConvolutionTransposed", R"(
def forward(self, x):
    return torch._convolution(x, self.w.transpose(0, 1), None, [2, 2], [1, 1], [1, 1], True, [1, 1], 1, False, False, True, True)
)",
     R"(graph (%x) {
  %w = get_attr @w
  %transpose = transpose(%w, 0, 1)
  %conv_transpose2d = conv_transpose2d(%x, %transpose, none, [2,2], [1,1], [1,1])
  return %conv_transpose2d
})"},
    {"SamePadding", R"(
def forward(self, x):
    return torch.conv2d(x, self.w, None, [1, 1], "same", [1, 1], 1)
)",
     R"(graph (%x) {
  %w = get_attr @w
  %conv2d = conv2d(%x, %w, none, [1,1], [1,1])
  return %conv2d
})"},
    {"Activations", R"(
def forward(self, x):
    y = torch.clamp(torch.hardtanh(x, 0., 6.), 0, 6)
    return torch.hardtanh(y, -1.0, 2.0)
)",
     R"(graph (%x) {
  %relu6 = relu6(%x)
  %relu6_1 = relu6(%relu6)
  %hardtanh = hardtanh(%relu6_1, -1.0, 2.0)
  return %hardtanh
})"},
    {"Addmm",
     R"(
def forward(self, x):
    return torch.addmm(self.c, x, self.m.t()) + torch.matmul(x, self.m.t())
)",
     R"(graph (%x) {
  %c = get_attr @c
  %m = get_attr @m
  %linear = linear(%x, %m, %c)
  %linear_1 = linear(%x, %m)
  %add = add(%linear, %linear_1)
  return %add
})",
     {4, 3}},
    {"Pad", R"(
def forward(self, x):
    return torch.pad(torch.pad(x, [1, 2]), [1, 1, 0, 0], "reflect")
)",
     R"(graph (%x) {
  %constant_pad_nd = pad(%x, [1,2])
  %pad = pad_mode(%constant_pad_nd, [1,1,0,0], "reflect")
  return %pad
})"},
};

std::string name_of(const ::testing::TestParamInfo<Case>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(Folding, TraceText, ::testing::ValuesIn(kFolding), name_of);
INSTANTIATE_TEST_SUITE_P(InPlace, TraceText, ::testing::ValuesIn(kInPlace), name_of);
INSTANTIATE_TEST_SUITE_P(Canonical, TraceText, ::testing::ValuesIn(kCanonical), name_of);

}  // namespace
}  // namespace fxq
