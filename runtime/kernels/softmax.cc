// f32 along dim, m = max x: Softmax e_i / s and LogSoftmax (x_i - m) - log(s), e_i = exp_f32(x_i -
// m). s in double: of a dense row, 16 sums of i mod 16 that are added up in order; else in order.
#include <algorithm>
#include <array>
#include <cmath>

#include "fxq/base/exp.h"
#include "fxq/base/status.h"
#include "fxq/base/vectorize.h"
#include "fxq/runtime/kernels/checks.h"
#include "fxq/runtime/kernels/range_step.h"

namespace fxq {
namespace {

using namespace kernels;  // NOLINT(google-build-using-namespace): this file is one of its members

constexpr int64_t kLanes = 16;
constexpr int64_t kBlock = 128;  // rows side by side whose dim is not the last one

absl::StatusOr<std::vector<Desc>> infer_softmax(const Step& step, Descs inputs) {
  AttrReader reader(step);
  if (!count_is(reader, inputs, 1, 1) || !is_tensor(reader, inputs, 0)) return reader.status();
  if (inputs[0].dtype != DType::kF32) {
    reader.complain(fmt::format("input 0 is {}, needs f32", inputs[0].describe()));
  }
  axis(reader, reader.integer("dim"), std::max<int64_t>(inputs[0].rank(), 1), "dim");
  FXQ_RETURN_IF_ERROR(reader.status());
  return std::vector<Desc>{tensor_desc(DType::kF32, inputs[0].dims)};
}

FXQ_INLINE float greater(float a, float b) { return a < b ? b : a; }

FXQ_INLINE float most_of(const float* x, int64_t count) {
  float lanes[kLanes];
  std::fill_n(lanes, kLanes, x[0]);
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int64_t k = 0; k < kLanes; ++k) lanes[k] = greater(lanes[k], x[i + k]);
  }
  for (; i < count; ++i) lanes[0] = greater(lanes[0], x[i]);
  return *std::max_element(lanes, lanes + kLanes);
}

// lanes[i % kLanes] += e[i]
FXQ_INLINE void add_to_lanes(const float* e, int64_t count, double* lanes) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int64_t k = 0; k < kLanes; ++k) lanes[k] += e[i + k];
  }
  for (int64_t k = 0; i < count; ++i, ++k) lanes[k] += e[i];
}

FXQ_INLINE double total(const double* lanes) {
  double sum = lanes[0];
  for (int64_t k = 1; k < kLanes; ++k) sum += lanes[k];
  return sum;
}

// y = exp_f32(x - most); their sum.
FXQ_INLINE double exponentials(const float* x, float most, int64_t count, float* y) {
  double lanes[kLanes] = {};
  FXQ_IVDEP
  for (int64_t i = 0; i < count; ++i) y[i] = exp_f32(x[i] - most);
  add_to_lanes(y, count, lanes);
  return total(lanes);
}

// The sum alone: x may be where the result goes, which still needs it.
FXQ_INLINE double sum_of_exponentials(const float* x, float most, int64_t count) {
  double lanes[kLanes] = {};
  float block[kBlock];
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t size = std::min(kBlock, count - begin);
    for (int64_t i = 0; i < size; ++i) block[i] = exp_f32(x[begin + i] - most);
    add_to_lanes(block, size, lanes);
  }
  return total(lanes);
}

FXQ_VECTORIZE void softmax_row(const float* x, float* y, int64_t count) {
  const double sum = exponentials(x, most_of(x, count), count, y);
  const auto factor = static_cast<float>(1.0 / sum);
  for (int64_t i = 0; i < count; ++i) y[i] *= factor;
}

FXQ_VECTORIZE void log_softmax_row(const float* x, float* y, int64_t count) {
  const float most = most_of(x, count);
  const auto offset = static_cast<float>(std::log(sum_of_exponentials(x, most, count)));
  FXQ_IVDEP
  for (int64_t i = 0; i < count; ++i) y[i] = (x[i] - most) - offset;
}

// Up to kBlock rows side by side, `stride` apart from value to value.
struct Columns {
  int64_t count, stride, rows;
};

FXQ_INLINE void most_and_sum(const float* x, const Columns& c, float* most, double* sum) {
  std::copy_n(x, c.rows, most);
  std::fill_n(sum, c.rows, 0.0);
  for (int64_t i = 1; i < c.count; ++i) {
    for (int64_t r = 0; r < c.rows; ++r) most[r] = greater(most[r], x[i * c.stride + r]);
  }
  for (int64_t i = 0; i < c.count; ++i) {
    FXQ_IVDEP
    for (int64_t r = 0; r < c.rows; ++r) sum[r] += exp_f32(x[i * c.stride + r] - most[r]);
  }
}

FXQ_VECTORIZE void softmax_columns(const float* x, float* y, const Columns& c) {
  float most[kBlock], factor[kBlock];
  double sum[kBlock];
  most_and_sum(x, c, most, sum);
  for (int64_t r = 0; r < c.rows; ++r) factor[r] = static_cast<float>(1.0 / sum[r]);
  for (int64_t i = 0; i < c.count; ++i) {
    FXQ_IVDEP
    for (int64_t r = 0; r < c.rows; ++r) {
      y[i * c.stride + r] = exp_f32(x[i * c.stride + r] - most[r]) * factor[r];
    }
  }
}

FXQ_VECTORIZE void log_softmax_columns(const float* x, float* y, const Columns& c) {
  float most[kBlock], offset[kBlock];
  double sum[kBlock];
  most_and_sum(x, c, most, sum);
  for (int64_t r = 0; r < c.rows; ++r) offset[r] = static_cast<float>(std::log(sum[r]));
  for (int64_t i = 0; i < c.count; ++i) {
    FXQ_IVDEP
    for (int64_t r = 0; r < c.rows; ++r) {
      y[i * c.stride + r] = (x[i * c.stride + r] - most[r]) - offset[r];
    }
  }
}

// Rows begin .. end of [outer, count, stride].
void softmax_rows(const float* x, float* y, int64_t count, int64_t stride, int64_t begin,
                  int64_t end, bool logarithm) {
  if (stride == 1) {
    for (int64_t row = begin; row < end; ++row) {
      (logarithm ? log_softmax_row : softmax_row)(x + row * count, y + row * count, count);
    }
    return;
  }
  for (int64_t row = begin; row < end;) {
    const int64_t in_plane = row % stride;
    const int64_t rows = std::min({end - row, stride - in_plane, kBlock});
    const int64_t at = row / stride * count * stride + in_plane;
    (logarithm ? log_softmax_columns : softmax_columns)(x + at, y + at, {count, stride, rows});
    row += rows;
  }
}

absl::StatusOr<std::unique_ptr<BoundStep>> bind(const Step& step, Descs inputs,
                                                BindContext& context, bool logarithm) {
  AttrReader reader(step);
  const std::vector<int64_t>& dims = inputs[0].dims;
  const int64_t dim =
      axis(reader, reader.integer("dim"), std::max<int64_t>(inputs[0].rank(), 1), "dim");
  const int64_t count = dims.empty() ? 1 : dims[dim];
  const int64_t stride = dims.empty() ? 1 : numel(absl::MakeConstSpan(dims).subspan(dim + 1));
  constexpr int64_t kCost = 16;  // an exponential takes as long as moving so many bytes
  const int64_t rows = count == 0 ? 0 : numel(dims) / count;
  return range_step(rows, kCost * count, context.threads, "own",
                    [=](int64_t begin, int64_t end, const StepBuffers& buffers) {
                      softmax_rows(reinterpret_cast<const float*>(buffers.inputs[0]),
                                   reinterpret_cast<float*>(buffers.outputs[0]), count, stride,
                                   begin, end, logarithm);
                    });
}

absl::StatusOr<std::unique_ptr<BoundStep>> bind_softmax(const Step& step, Descs inputs, Descs,
                                                        BindContext& context) {
  return bind(step, inputs, context, false);
}

absl::StatusOr<std::unique_ptr<BoundStep>> bind_log_softmax(const Step& step, Descs inputs, Descs,
                                                            BindContext& context) {
  return bind(step, inputs, context, true);
}

Sharing share_softmax(const Step&, Descs, Descs) { return {Sharing::Kind::kInPlace, {0}}; }

}  // namespace

Kernel kernel_Softmax() { return {infer_softmax, bind_softmax, share_softmax}; }

Kernel kernel_LogSoftmax() { return {infer_softmax, bind_log_softmax, share_softmax}; }

}  // namespace fxq
