// UpsampleBilinear: integers of the input's scale, sizes: resize.h, attr align_corners. As ATen, in
// float32 with one rounding per operation:
//   src = max((i + 0.5) * step - 0.5, 0), or i * (extent - 1) / (outputs - 1) if corners are
//   aligned first = floor(src), second = min(first + 1, extent - 1), w1 = src - first, w0 = 1 - w1
//   y = sat(rint(h0 * (w0 * a + w1 * b) + h1 * (w0 * c + w1 * d)))
#include <algorithm>
#include <cmath>

#include "fxq/base/vectorize.h"
#include "fxq/runtime/kernels/checks.h"
#include "fxq/runtime/kernels/range_step.h"
#include "fxq/runtime/kernels/resize.h"

namespace fxq {
namespace {

using namespace kernels;  // NOLINT(google-build-using-namespace): this file is one of its members

// The two pixels along one axis that an output pixel lies between.
struct Between {
  int64_t first = 0, second = 0;
  float w0 = 1, w1 = 0;
};

std::vector<Between> neighbours(const Resize& resize, int axis, int64_t extent, bool aligned) {
  const int64_t outputs = resize.sizes[axis];
  float step = resize.step(axis, extent);
  if (aligned) {
    step = outputs > 1 ? static_cast<float>(extent - 1) / static_cast<float>(outputs - 1) : 0.0F;
  }
  std::vector<Between> result;
  for (int64_t i = 0; i < outputs; ++i) {
    const auto at = static_cast<float>(i);
    const float source = aligned ? step * at : std::max(step * (at + 0.5F) - 0.5F, 0.0F);
    Between between;
    between.first = std::min(static_cast<int64_t>(source), extent - 1);
    between.second = std::min(between.first + 1, extent - 1);
    between.w1 = source - static_cast<float>(between.first);
    between.w0 = 1.0F - between.w1;
    result.push_back(between);
  }
  return result;
}

struct Corners {
  int64_t a, b, c, d;  // elements from the image's start
  float w0, w1, h0, h1;
};

template <typename T>
FXQ_INLINE void mix(const T* __restrict x, const Corners& at, int64_t channels, int shift,
                    OutputRange range, T* __restrict y) {
  for (int64_t i = 0; i < channels; ++i) {
    const auto value = [&](int64_t corner) {
      return static_cast<float>(static_cast<int>(x[corner + i]) - shift);
    };
    const float top = at.w0 * value(at.a) + at.w1 * value(at.b);
    const float bottom = at.w0 * value(at.c) + at.w1 * value(at.d);
    const float p = at.h0 * top + at.h1 * bottom;
    y[i] = static_cast<T>(round_to(p, range) + shift);
  }
}

FXQ_VECTORIZE void mix_bytes(const uint8_t* x, const Corners& at, int64_t channels, int shift,
                             OutputRange range, uint8_t* y) {
  mix(x, at, channels, shift, range, y);
}
FXQ_VECTORIZE void mix_words(const int16_t* x, const Corners& at, int64_t channels, int shift,
                             OutputRange range, int16_t* y) {
  mix(x, at, channels, shift, range, y);
}
void mix_pixel(const uint8_t* x, const Corners& at, int64_t channels, int shift, OutputRange range,
               uint8_t* y) {
  mix_bytes(x, at, channels, shift, range, y);
}
void mix_pixel(const int16_t* x, const Corners& at, int64_t channels, int shift, OutputRange range,
               int16_t* y) {
  mix_words(x, at, channels, shift, range, y);
}

struct Bilinear {
  std::vector<Between> rows, columns;
  int64_t channels = 0, height = 0, width = 0;
  int shift = 0;
  OutputRange range;

  template <typename T>
  void run(int64_t begin, int64_t end, const StepBuffers& buffers) const {
    const auto outputs = static_cast<int64_t>(rows.size());
    for (int64_t item = begin; item < end; ++item) {
      const Between& row = rows[item % outputs];
      const T* x = reinterpret_cast<const T*>(buffers.inputs[0]) +
                   item / outputs * height * width * channels;
      T* y = reinterpret_cast<T*>(buffers.outputs[0]) +
             item * static_cast<int64_t>(columns.size()) * channels;
      for (const Between& column : columns) {
        const auto element = [&](int64_t h, int64_t w) { return (h * width + w) * channels; };
        const Corners at{element(row.first, column.first),
                         element(row.first, column.second),
                         element(row.second, column.first),
                         element(row.second, column.second),
                         column.w0,
                         column.w1,
                         row.w0,
                         row.w1};
        mix_pixel(x, at, channels, shift, range, y);
        y += channels;
      }
    }
  }
};

absl::StatusOr<std::vector<Desc>> infer_bilinear(const Step& step, Descs inputs) {
  AttrReader reader(step);
  reader.boolean("align_corners", false);
  if (!reader.status().ok()) return reader.status();
  return infer_resize(step, inputs);
}

absl::StatusOr<std::unique_ptr<BoundStep>> bind_bilinear(const Step& step, Descs inputs,
                                                         Descs outputs, BindContext& context) {
  AttrReader reader(step);
  const Resize resize = read_resize(reader, inputs);
  const bool aligned = reader.boolean("align_corners", false);
  const std::vector<int64_t>& dims = inputs[0].dims;
  const DType dtype = inputs[0].dtype;
  const IntegerRange range = integer_range(dtype);
  Bilinear bilinear;
  bilinear.rows = neighbours(resize, 0, dims[2], aligned);
  bilinear.columns = neighbours(resize, 1, dims[3], aligned);
  bilinear.channels = dims[1];
  bilinear.height = dims[2];
  bilinear.width = dims[3];
  bilinear.shift = storage_shift(dtype);
  bilinear.range = {static_cast<float>(range.low), static_cast<float>(range.high)};
  const int64_t count = outputs[0].dims[0] * resize.sizes[0];
  const int64_t row_bytes = 8 * resize.sizes[1] * dims[1];  // slower than moving bytes
  return range_step(count, row_bytes, context.threads, "own",
                    [bilinear, dtype](int64_t begin, int64_t end, const StepBuffers& buffers) {
                      if (is_wide(dtype)) return bilinear.run<int16_t>(begin, end, buffers);
                      bilinear.run<uint8_t>(begin, end, buffers);
                    });
}

}  // namespace

Kernel kernel_UpsampleBilinear() { return {infer_bilinear, bind_bilinear}; }

}  // namespace fxq
