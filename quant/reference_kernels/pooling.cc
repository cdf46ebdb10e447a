// Averages: acc = exact sum of the window's integers
//   p = (float)acc * (float)((s_in / s_out) / divisor), y = sat(rint(p))
// A window's divisor is ATen's: count_include_pad, divisor_override, and ceil_mode's last windows.
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "fxq/quant/reference_kernels/arithmetic.h"

namespace fxq {
namespace {

struct Axis {
  int64_t kernel, stride, padding, size;
};

// Elements of window `at` along one axis, padding counted or not.
int64_t window(const Axis& axis, int64_t at, bool count_include_pad) {
  int64_t start = at * axis.stride - axis.padding;
  int64_t end = std::min(start + axis.kernel, axis.size + axis.padding);
  if (count_include_pad) return end - start;
  start = std::max<int64_t>(start, 0);
  end = std::min(end, axis.size);
  return end - start;
}

at::Tensor finish(const ReferenceCall& call, const at::Tensor& sums, const at::Tensor& divisor) {
  const at::Tensor m = (call.scale() / call.output_scale() / divisor).to(at::kFloat);
  return saturate(sums.to(at::kFloat) * m, call.output_dtype());
}

// attr as {height, width}; one axis only: {1, value}, which `unit` stands for.
std::vector<int64_t> two(const ReferenceCall& call, std::string_view name, int axes, int64_t unit) {
  std::vector<int64_t> values = call.ints(name);
  if (values.empty()) return values;
  if (values.size() == 1) values.push_back(values[0]);
  if (axes == 1) values[0] = unit;
  return values;
}

at::Tensor divisors(const OpView& view, const Axis& rows, const Axis& columns, int64_t height,
                    int64_t width) {
  const bool counted = view.attr_bool("count_include_pad", true);
  const int64_t fixed = view.attr_int("divisor_override", 0);
  const at::Tensor result = at::empty({height, width}, at::kDouble);
  auto data = result.accessor<double, 2>();
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      const int64_t count = window(rows, y, counted) * window(columns, x, counted);
      data[y][x] = static_cast<double>(fixed ? fixed : count);
    }
  }
  return result;
}

}  // namespace

absl::StatusOr<c10::IValue> reference_AvgPool(const ReferenceCall& call) {
  const OpView& view = call.view;
  const int axes = view.op() == OpId::kAvgPool1d ? 1 : 2;
  at::Tensor x = call.operand().to(at::kDouble);
  if (axes == 1) x = x.unsqueeze(-2);
  const auto kernel = two(call, "kernel_size", axes, 1);
  auto stride = two(call, "stride", axes, 1);
  if (stride.empty()) stride = kernel;
  const auto padding = two(call, "padding", axes, 0);
  at::Tensor sums = at::avg_pool2d(x, kernel, stride, padding, view.attr_bool("ceil_mode"),
                                   /*count_include_pad=*/true, /*divisor_override=*/1);
  const at::Tensor divisor =
      divisors(view, {kernel[0], stride[0], padding[0], x.size(-2)},
               {kernel[1], stride[1], padding[1], x.size(-1)}, sums.size(-2), sums.size(-1));
  const at::Tensor y = finish(call, sums, divisor);
  return axes == 1 ? y.squeeze(-2) : y;
}

absl::StatusOr<c10::IValue> reference_AdaptiveAvgPool(const ReferenceCall& call) {
  const bool one_axis = call.view.op() == OpId::kAdaptiveAvgPool1d;
  at::Tensor x = call.operand().to(at::kLong);
  if (one_axis) x = x.unsqueeze(-2);
  std::vector<int64_t> size = call.ints("output_size");
  if (size.size() == 1) size.push_back(size[0]);
  if (one_axis) size[0] = 1;
  std::vector<int64_t> dims = x.sizes().vec();
  dims[dims.size() - 2] = size[0];
  dims[dims.size() - 1] = size[1];
  const at::Tensor sums = at::zeros(dims, at::kLong);
  const at::Tensor divisor = at::zeros({size[0], size[1]}, at::kDouble);
  for (int64_t i = 0; i < size[0]; ++i) {
    const int64_t top = i * x.size(-2) / size[0];
    const int64_t bottom = ((i + 1) * x.size(-2) + size[0] - 1) / size[0];
    for (int64_t j = 0; j < size[1]; ++j) {
      const int64_t left = j * x.size(-1) / size[1];
      const int64_t right = ((j + 1) * x.size(-1) + size[1] - 1) / size[1];
      sums.select(-2, i).select(-1, j).copy_(
          x.slice(-2, top, bottom).slice(-1, left, right).sum({-2, -1}));
      divisor[i][j].fill_(static_cast<double>((bottom - top) * (right - left)));
    }
  }
  const at::Tensor y = finish(call, sums, divisor);
  return one_axis ? y.squeeze(-2) : y;
}

absl::StatusOr<c10::IValue> reference_Mean(const ReferenceCall& call) {
  const at::Tensor x = call.operand().to(at::kLong);
  const at::Tensor sums =
      x.sum(call.view.attr_ints("dim"), call.view.attr_bool("keepdim"), at::kLong);
  const double count = static_cast<double>(x.numel()) / static_cast<double>(sums.numel());
  return finish(call, sums, at::full({1}, count, at::kDouble));
}

std::string limits_AvgPool(const OpView& view) {
  const std::string rank = wants_rank(view, view.op() == OpId::kAvgPool1d ? 3 : 4);
  return rank.empty() ? no_epilogue(view) : rank;
}

std::string limits_AdaptiveAvgPool(const OpView& view) {
  const std::string rank = wants_rank(view, view.op() == OpId::kAdaptiveAvgPool1d ? 3 : 4);
  return rank.empty() ? no_epilogue(view) : rank;
}

std::string limits_Mean(const OpView& view) {
  if (view.attr_ints("dim").empty()) return "its dim is not a list of constants";
  if (!view.attr("dtype").is_none()) return "it changes the dtype";
  return no_epilogue(view);
}

}  // namespace fxq
