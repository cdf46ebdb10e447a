// AvgPool, AdaptiveAvgPool: y = sat(rint((float)sum * m)), m = (float)((scale_in / scale_out) /
// divisor). AvgPool's divisor: attr divisor_override if given, else the window's size with padding
// (count_include_pad, the default) or what of it lies inside the input. An empty window gives 0.
// attrs kernel_size, stride, padding, ceil_mode | output_size; scale_in, scale_out, dtype,
// activation.
#include "fxq/base/status.h"
#include "fxq/runtime/kernels/checks.h"
#include "fxq/runtime/kernels/range_step.h"
#include "fxq/runtime/kernels/sums.h"
#include "fxq/runtime/kernels/windows.h"

namespace fxq {
namespace {

using namespace kernels;  // NOLINT(google-build-using-namespace): this file is one of its members

struct AveragePool {
  Windows windows;
  bool count_include_pad = true;
  int64_t divisor_override = 0;
  AverageRule rule;

  double divisor(const Window& row, const Window& column) const {
    if (divisor_override != 0) return static_cast<double>(divisor_override);
    if (count_include_pad) return static_cast<double>(row.padded * column.padded);
    return static_cast<double>(row.taps * column.taps);
  }
};

AveragePool read_pool(AttrReader& reader, const Step& step, const Desc& input) {
  AveragePool pool;
  if (step.kernel == "AdaptiveAvgPool") {
    pool.windows = adaptive_windows(reader, input);
    return pool;
  }
  pool.windows = sliding_windows(reader, input);
  pool.count_include_pad = reader.boolean("count_include_pad", true);
  if (reader.has("divisor_override")) {
    pool.divisor_override = reader.integer("divisor_override");
    if (pool.divisor_override == 0) reader.complain("divisor_override is 0");
  }
  if (pool.windows.rows.dilation != 1 || pool.windows.columns.dilation != 1) {
    reader.complain("an average pool has no dilation");
  }
  return pool;
}

absl::StatusOr<std::vector<Desc>> infer_pool(const Step& step, Descs inputs) {
  AttrReader reader(step);
  if (!count_is(reader, inputs, 1, 1) || !is_quantized_tensor(reader, inputs, 0)) {
    return reader.status();
  }
  const AveragePool pool = read_pool(reader, step, inputs[0]);
  const DType dtype = check_average(reader, inputs[0]);
  FXQ_RETURN_IF_ERROR(reader.status());
  if (numel(absl::MakeConstSpan(inputs[0].dims).subspan(2)) > kMostSummed) {
    reader.complain(fmt::format("{} is too large to average exactly", inputs[0].describe()));
  }
  FXQ_RETURN_IF_ERROR(reader.status());
  return std::vector<Desc>{tensor_desc(dtype, pool.windows.output_dims(inputs[0]))};
}

// Rows [begin, end) of the output, counted over all images.
template <typename X, typename Y>
void pool_rows(const AveragePool& pool, const X* x, Y* y, int64_t begin, int64_t end) {
  const auto rows = static_cast<int64_t>(pool.windows.rows.windows.size());
  const auto columns = static_cast<int64_t>(pool.windows.columns.windows.size());
  const int64_t pixel = pool.windows.channels;
  const int64_t row = pixel * pool.windows.columns.extent;
  for (int64_t item = begin; item < end; ++item) {
    const Window& r = pool.windows.rows.windows[item % rows];
    const int64_t origin = (item / rows * pool.windows.rows.extent + r.begin) * row;
    for (int64_t column = 0; column < columns; ++column) {
      const Window& c = pool.windows.columns.windows[column];
      const SumTaps taps{r.taps, c.taps, row, pixel};
      Y* target = y + (item * columns + column) * pixel;
      if (taps.count() == 0) {
        std::fill(target, target + pixel, static_cast<Y>(pool.rule.shift_out));
      } else {
        average(x + origin + c.begin * pixel, taps, pixel, pool.divisor(r, c), pool.rule, target);
      }
    }
  }
}

template <typename X, typename Y>
std::unique_ptr<BoundStep> pool_step(AveragePool pool, int64_t row_bytes, int threads) {
  const int64_t rows = pool.windows.images * static_cast<int64_t>(pool.windows.rows.windows.size());
  return range_step(
      rows, row_bytes, threads, "own",
      [pool = std::move(pool)](int64_t begin, int64_t end, const StepBuffers& buffers) {
        pool_rows(pool, reinterpret_cast<const X*>(buffers.inputs[0]),
                  reinterpret_cast<Y*>(buffers.outputs[0]), begin, end);
      });
}

absl::StatusOr<std::unique_ptr<BoundStep>> bind_pool(const Step& step, Descs inputs, Descs outputs,
                                                     BindContext& context) {
  AttrReader reader(step);
  const DType from = inputs[0].dtype;
  const DType to = outputs[0].dtype;
  AveragePool pool = read_pool(reader, step, inputs[0]);
  pool.rule = average_rule(reader, from, to);
  const int64_t row_bytes = numel(inputs[0].dims) / std::max<int64_t>(inputs[0].dims[0], 1);
  if (is_wide(from) && is_wide(to)) {
    return pool_step<int16_t, int16_t>(std::move(pool), row_bytes, context.threads);
  }
  if (is_wide(from))
    return pool_step<int16_t, uint8_t>(std::move(pool), row_bytes, context.threads);
  if (is_wide(to)) return pool_step<uint8_t, int16_t>(std::move(pool), row_bytes, context.threads);
  return pool_step<uint8_t, uint8_t>(std::move(pool), row_bytes, context.threads);
}

}  // namespace

Kernel kernel_AvgPool() { return {infer_pool, bind_pool}; }
Kernel kernel_AdaptiveAvgPool() { return {infer_pool, bind_pool}; }

}  // namespace fxq
