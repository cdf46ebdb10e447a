// max_pool -> MaxPool     avg_pool -> AveragePool, whose windows count as ATen's do
// adaptive_avg_pool -> GlobalAveragePool (output 1), AveragePool (output divides the input), else
//   W_rows * x * W_columns with constant averaging matrices
#include <ATen/core/Tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "fxq/base/status.h"
#include "fxq/export/exporter.h"
#include "fxq/export/lowering/lowering.h"
#include "fxq/export/lowering/parts.h"
#include "fxq/export/opset_forms.h"

namespace fxq {
namespace {

struct Window {
  std::vector<int64_t> kernel, stride, padding, dilation;
  bool ceil_mode = false;
  size_t rank() const { return kernel.size(); }
};

absl::StatusOr<Window> window(const OpView& view) {
  const size_t rank = spatial_axes(view.op());
  auto ints = [&](std::string_view name, int64_t fallback) {
    std::vector<int64_t> values = view.attr_ints(name, {fallback});
    if (values.size() == 1) values.resize(rank, values[0]);
    return values;
  };
  Window result{ints("kernel_size", 0), ints("stride", 0), ints("padding", 0), ints("dilation", 1),
                view.attr_bool("ceil_mode")};
  if (result.stride.size() != rank || result.stride[0] == 0) result.stride = result.kernel;
  if (result.kernel.size() != rank || result.kernel[0] <= 0 ||
      !view.attr("padding").is_constant() || !view.attr("stride").is_constant()) {
    return absl::UnimplementedError("its window is computed while running");
  }
  return result;
}

// ATen drops a last window that starts in the padding behind the input; ONNX keeps it.
absl::Status check_ceil_mode(const Window& w) {
  for (size_t i = 0; w.ceil_mode && i < w.rank(); ++i) {
    const int64_t reach = w.dilation[i] * (w.kernel[i] - 1) + 1;
    if (w.stride[i] > reach - w.padding[i]) {
      return absl::UnimplementedError(
          "ceil_mode with strides so large that a window may lie in the padding alone");
    }
  }
  return absl::OkStatus();
}

OnnxAttributes attributes(const Window& w) {
  std::vector<int64_t> pads = w.padding;
  pads.insert(pads.end(), w.padding.begin(), w.padding.end());
  OnnxAttributes result{{"kernel_shape", w.kernel}, {"strides", w.stride}, {"pads", pads}};
  if (w.ceil_mode) result.emplace_back("ceil_mode", int64_t{1});
  return result;
}

std::string pad_spatial(OnnxBuilder& builder, const std::string& x, const Window& w) {
  std::vector<int64_t> pads{0, 0};
  pads.insert(pads.end(), w.padding.begin(), w.padding.end());
  pads.insert(pads.end(), {0, 0});
  pads.insert(pads.end(), w.padding.begin(), w.padding.end());
  const std::string amounts = builder.ints(pads);
  return builder.add("Pad", {x, amounts});
}

bool is_unbatched(const OpView& view) {
  return view.operand(0)->type.rank() == static_cast<int>(spatial_axes(view.op())) + 1;
}

// The operand with a batch axis.
absl::StatusOr<std::string> batched(Exporter& exporter, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  return is_unbatched(view) ? add_unsqueeze(exporter.builder(), x, {0}) : x;
}

absl::Status finish(Exporter& exporter, const OpView& view, std::string y) {
  if (is_unbatched(view)) y = add_squeeze(exporter.builder(), y, {0});
  return exporter.finish(view, std::move(y));
}

// [out, in]: row i averages the inputs from floor(i * in / out) to ceil((i + 1) * in / out).
at::Tensor averaging_matrix(int64_t in, int64_t out) {
  const at::Tensor matrix = at::zeros({out, in}, at::kFloat);
  for (int64_t i = 0; i < out; ++i) {
    const int64_t start = i * in / out;
    const int64_t end = ((i + 1) * in + out - 1) / out;
    matrix.select(0, i).slice(0, start, end).fill_(1.0 / static_cast<double>(end - start));
  }
  return matrix;
}

absl::StatusOr<std::string> average_uneven(Exporter& exporter, const OpView& view, std::string x,
                                           const std::vector<int64_t>& in,
                                           const std::vector<int64_t>& out) {
  const std::string path = view.node()->name();
  FXQ_ASSIGN_OR_RETURN(const std::string columns,
                       exporter.derived(path + ".columns",
                                        averaging_matrix(in.back(), out.back()).t().contiguous()));
  x = exporter.builder().add("MatMul", {x, columns});
  if (in.size() == 1) return x;
  FXQ_ASSIGN_OR_RETURN(const std::string rows,
                       exporter.derived(path + ".rows", averaging_matrix(in[0], out[0])));
  return exporter.builder().add("MatMul", {rows, x});
}

}  // namespace

absl::Status onnx_MaxPool(Exporter& exporter, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const Window w, window(view));
  FXQ_RETURN_IF_ERROR(check_ceil_mode(w));
  FXQ_ASSIGN_OR_RETURN(const std::string x, batched(exporter, view));
  OnnxAttributes all = attributes(w);
  all.emplace_back("dilations", w.dilation);
  return finish(exporter, view, exporter.builder().add("MaxPool", {x}, std::move(all)));
}

// With ceil_mode ATen divides by the window inside the padded input: padding becomes an operator of
// its own there, and AveragePool counts real elements only.
absl::Status onnx_AveragePool(Exporter& exporter, const OpView& view) {
  OnnxBuilder& builder = exporter.builder();
  FXQ_ASSIGN_OR_RETURN(Window w, window(view));
  FXQ_RETURN_IF_ERROR(check_ceil_mode(w));
  const int64_t divisor = view.attr_int("divisor_override", 0);
  if (divisor != 0 && w.ceil_mode) {
    return absl::UnimplementedError("divisor_override together with ceil_mode");
  }
  FXQ_ASSIGN_OR_RETURN(std::string x, batched(exporter, view));
  bool padded = false;
  int64_t size = 1;
  for (size_t i = 0; i < w.rank(); ++i) {
    padded |= w.padding[i] > 0;
    size *= w.kernel[i];
  }
  bool counts_padding = padded && (divisor != 0 || view.attr_bool("count_include_pad", true));
  if (counts_padding && w.ceil_mode) {
    x = pad_spatial(builder, x, w);
    w.padding.assign(w.rank(), 0);
    counts_padding = false;
  }
  OnnxAttributes all = attributes(w);
  all.emplace_back("count_include_pad", static_cast<int64_t>(counts_padding));
  std::string y = builder.add("AveragePool", {x}, std::move(all));
  if (divisor != 0) {
    y = add_scaled(builder, y, static_cast<double>(size) / static_cast<double>(divisor));
  }
  return finish(exporter, view, std::move(y));
}

namespace {

// How an adaptive pool is said in ONNX: over all, by equal windows, or not.
struct Adaptive {
  std::vector<int64_t> in, out;
  std::vector<int64_t> window;  // empty: the windows differ
  bool is_global = false;
};

absl::StatusOr<Adaptive> adaptive(const OpView& view) {
  const size_t rank = spatial_axes(view.op());
  Adaptive pool;
  pool.out = view.attr_ints("output_size");
  if (pool.out.size() == 1) pool.out.resize(rank, pool.out[0]);
  if (pool.out.size() != rank) {
    return absl::UnimplementedError("its output_size is not all constants");
  }
  pool.is_global = pool.out == std::vector<int64_t>(rank, 1);
  if (pool.is_global) return pool;
  const Type& type = view.operand(0)->type;
  for (int i = type.rank() - static_cast<int>(rank); type.rank() > 0 && i < type.rank(); ++i) {
    pool.in.push_back((*type.dims)[static_cast<size_t>(i)].size);
  }
  if (pool.in.size() != rank || *std::min_element(pool.in.begin(), pool.in.end()) <= 0) {
    return absl::UnimplementedError("an output other than 1 needs to know its input's size");
  }
  for (size_t i = 0; i < rank; ++i) {
    if (pool.in[i] % pool.out[i] != 0) return pool;
  }
  for (size_t i = 0; i < rank; ++i) pool.window.push_back(pool.in[i] / pool.out[i]);
  return pool;
}

std::string pool_evenly(OnnxBuilder& builder, const std::string& x, const Adaptive& pool,
                        const std::string& op_type) {
  if (pool.is_global) return builder.add("Global" + op_type, {x});
  return builder.add(op_type, {x}, {{"kernel_shape", pool.window}, {"strides", pool.window}});
}

}  // namespace

absl::Status onnx_AdaptiveAveragePool(Exporter& exporter, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const Adaptive pool, adaptive(view));
  FXQ_ASSIGN_OR_RETURN(std::string x, batched(exporter, view));
  if (pool.is_global || !pool.window.empty()) {
    return finish(exporter, view, pool_evenly(exporter.builder(), x, pool, "AveragePool"));
  }
  if (pool.out.size() > 2) {
    return absl::UnimplementedError("windows of different sizes on three axes");
  }
  FXQ_ASSIGN_OR_RETURN(x, average_uneven(exporter, view, std::move(x), pool.in, pool.out));
  return finish(exporter, view, std::move(x));
}

absl::Status onnx_AdaptiveMaxPool(Exporter& exporter, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const Adaptive pool, adaptive(view));
  if (!pool.is_global && pool.window.empty()) {
    return absl::UnimplementedError("its windows have different sizes");
  }
  FXQ_ASSIGN_OR_RETURN(const std::string x, batched(exporter, view));
  std::string y = pool_evenly(exporter.builder(), x, pool, "MaxPool");
  if (is_unbatched(view)) y = add_squeeze(exporter.builder(), y, {0});
  return finish_parts(exporter, view, {y, ""});
}

}  // namespace fxq
