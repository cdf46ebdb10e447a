// AvgPool, AdaptiveAvgPool: y = sat(rint((float)sum * m)), m = (float)((scale_in / scale_out) /
// divisor). AvgPool's divisor: attr divisor_override if given, else the window's size with padding
// (count_include_pad, the default) or what of it lies inside the input. An empty window gives 0.
// attrs kernel_size, stride, padding, ceil_mode | output_size; scale_in, scale_out, dtype,
// activation.
//
// Bytes: a row of windows is one row of column sums and runs of neighbouring windows
// (average_bytes.h).
#include <algorithm>

#include "fxq/base/status.h"
#include "fxq/runtime/kernels/average_bytes.h"
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

// Windows of equal size side by side, one column apart: one run over their channels. Windows of
// other strides are runs of one.
struct Run {
  int64_t first = 0;  // output column
  int64_t count = 1;  // of columns
};

std::vector<Run> runs_of(const std::vector<Window>& columns) {
  std::vector<Run> runs;
  for (size_t i = 0; i < columns.size(); ++i) {
    const bool joins = !runs.empty() && columns[i].taps == columns[i - 1].taps &&
                       columns[i].padded == columns[i - 1].padded &&
                       columns[i].begin == columns[i - 1].begin + 1;
    if (joins) {
      ++runs.back().count;
    } else {
      runs.push_back({static_cast<int64_t>(i), 1});
    }
  }
  return runs;
}

// An average pool of bytes: the windows as runs, and a finish for each size of window.
class BytePool {
 public:
  explicit BytePool(AveragePool pool)
      : pool_(std::move(pool)), runs_(runs_of(pool_.windows.columns.windows)) {
    for (const Window& r : pool_.windows.rows.windows) {
      for (const Run& run : runs_) {
        const Window& c = column(run);
        if (r.taps * c.taps == 0 || find(r, c)) continue;
        averages_.push_back(make_byte_average(r.taps * c.taps, pool_.divisor(r, c), pool_.rule));
      }
    }
  }

  static bool fits(const Windows& windows) {
    auto most = [](const WindowAxis& axis) {
      int64_t taps = 0;
      for (const Window& window : axis.windows) taps = std::max(taps, window.taps);
      return taps;
    };
    return most(windows.rows) <= kMostByteTaps && most(windows.columns) <= kMostByteTaps &&
           most(windows.rows) * most(windows.columns) <= kMostByteTaps;
  }

  int64_t row_elements() const { return pool_.windows.channels * pool_.windows.columns.extent; }

  // sums: row_elements() of scratch.
  void run_rows(const uint8_t* x, uint8_t* y, int64_t begin, int64_t end, uint16_t* sums) const {
    const auto rows = static_cast<int64_t>(pool_.windows.rows.windows.size());
    const int64_t out = static_cast<int64_t>(pool_.windows.columns.windows.size());
    for (int64_t item = begin; item < end; ++item) {
      const Window& r = pool_.windows.rows.windows[item % rows];
      const int64_t origin = (item / rows * pool_.windows.rows.extent + r.begin) * row_elements();
      sum_rows(x + origin, r.taps, row_elements(), row_elements(), sums);
      run_row(r, sums, y + item * out * pool_.windows.channels);
    }
  }

 private:
  void run_row(const Window& r, const uint16_t* sums, uint8_t* y) const {
    const int64_t channels = pool_.windows.channels;
    for (const Run& run : runs_) {
      const Window& c = column(run);
      uint8_t* target = y + run.first * channels;
      if (r.taps * c.taps == 0) {
        std::fill_n(target, run.count * channels, static_cast<uint8_t>(pool_.rule.shift_out));
      } else {
        average_columns(sums + c.begin * channels, c.taps, channels, run.count * channels,
                        *find(r, c), target);
      }
    }
  }

  const Window& column(const Run& run) const {
    return pool_.windows.columns.windows[static_cast<size_t>(run.first)];
  }
  // A handful of sizes: the inside, the edges, the corners.
  const ByteAverage* find(const Window& r, const Window& c) const {
    for (const ByteAverage& average : averages_) {
      if (average.taps == r.taps * c.taps && average.divisor == pool_.divisor(r, c))
        return &average;
    }
    return nullptr;
  }

  AveragePool pool_;
  std::vector<Run> runs_;
  std::vector<ByteAverage> averages_;
};

std::unique_ptr<BoundStep> byte_pool_step(AveragePool pool, int64_t row_bytes,
                                          BindContext& context) {
  const int64_t rows = pool.windows.images * static_cast<int64_t>(pool.windows.rows.windows.size());
  BytePool bytes(std::move(pool));
  context.worker_scratch_bytes = sizeof(uint16_t) * static_cast<size_t>(bytes.row_elements());
  return range_step(
      rows, row_bytes, context.threads, "own:column_sums",
      [bytes = std::move(bytes)](int64_t begin, int64_t end, const StepBuffers& buffers) {
        bytes.run_rows(reinterpret_cast<const uint8_t*>(buffers.inputs[0]),
                       reinterpret_cast<uint8_t*>(buffers.outputs[0]), begin, end,
                       reinterpret_cast<uint16_t*>(buffers.worker_scratch));
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
  if (BytePool::fits(pool.windows)) return byte_pool_step(std::move(pool), row_bytes, context);
  return pool_step<uint8_t, uint8_t>(std::move(pool), row_bytes, context.threads);
}

}  // namespace

Kernel kernel_AvgPool() { return {infer_pool, bind_pool}; }
Kernel kernel_AdaptiveAvgPool() { return {infer_pool, bind_pool}; }

}  // namespace fxq
