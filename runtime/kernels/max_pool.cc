// MaxPool: y = max of the window, integers and scale kept. attrs kernel_size, stride, padding,
// dilation, ceil_mode. Stored order is value order, so the shift of i8 does not matter.
#include <cstring>
#include <limits>

#include "fxq/base/status.h"
#include "fxq/base/vectorize.h"
#include "fxq/runtime/kernels/checks.h"
#include "fxq/runtime/kernels/range_step.h"
#include "fxq/runtime/kernels/windows.h"

namespace fxq {
namespace {

using namespace kernels;  // NOLINT(google-build-using-namespace): this file is one of its members

// Maxima over rows x columns taps; steps in elements.
struct Taps {
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t row_step = 0;
  int64_t column_step = 0;
};

// Maxima of as many channels as kBytes hold, in registers: a loop over an array would go through
// memory at each tap.
template <typename T, size_t kBytes>
FXQ_INLINE int64_t max_blocks(const T* x, Taps taps, int64_t channel, int64_t channels, T* y) {
  typedef T Block __attribute__((vector_size(kBytes)));
  constexpr auto kLanes = static_cast<int64_t>(kBytes / sizeof(T));
  while (channel + kLanes <= channels || (kBytes == 16 && channel < channels)) {
    if (channels < kLanes) break;
    channel = std::min(channel, channels - kLanes);  // the last block may overlap the one before
    Block best = Block{} + std::numeric_limits<T>::lowest();
    for (int64_t r = 0; r < taps.rows; ++r) {
      const T* from = x + r * taps.row_step + channel;
      for (int64_t k = 0; k < taps.columns; ++k, from += taps.column_step) {
        Block value;
        std::memcpy(&value, from, kBytes);
        best = value > best ? value : best;
      }
    }
    std::memcpy(y + channel, &best, kBytes);
    channel += kLanes;
  }
  return channel;
}

// Elements that may be read from x on, and written from y on: a pixel of few channels is computed
// as a whole block if there is room for it. What that writes too many is written again by later
// pixels.
struct Room {
  int64_t x = 0;
  int64_t y = 0;
};

template <typename T>
FXQ_INLINE void max_pixel(const T* x, Taps taps, int64_t channels, T* y, Room room) {
  constexpr auto kLanes = static_cast<int64_t>(16 / sizeof(T));
  const int64_t last = (taps.rows - 1) * taps.row_step + (taps.columns - 1) * taps.column_step;
  if (channels < kLanes && last + kLanes <= room.x && kLanes <= room.y) {
    max_blocks<T, 16>(x, taps, 0, kLanes, y);
    return;
  }
  int64_t channel = max_blocks<T, 64>(x, taps, 0, channels, y);
  channel = max_blocks<T, 16>(x, taps, channel, channels, y);
  for (; channel < channels; ++channel) {
    T best = std::numeric_limits<T>::lowest();
    for (int64_t r = 0; r < taps.rows; ++r) {
      const T* from = x + r * taps.row_step + channel;
      for (int64_t k = 0; k < taps.columns; ++k) best = std::max(best, from[k * taps.column_step]);
    }
    y[channel] = best;
  }
}

FXQ_VECTORIZE void max_pool_pixel(const uint8_t* x, Taps taps, int64_t channels, uint8_t* y,
                                  Room room) {
  max_pixel(x, taps, channels, y, room);
}
FXQ_VECTORIZE void max_pool_words(const int16_t* x, Taps taps, int64_t channels, int16_t* y,
                                  Room room) {
  max_pixel(x, taps, channels, y, room);
}
void max_pool_pixel(const int16_t* x, Taps taps, int64_t channels, int16_t* y, Room room) {
  max_pool_words(x, taps, channels, y, room);
}

// Rows [begin, end) of the output, counted over all images.
template <typename T>
void max_pool_rows(const Windows& windows, const T* x, T* y, int64_t begin, int64_t end) {
  const auto rows = static_cast<int64_t>(windows.rows.windows.size());
  const auto columns = static_cast<int64_t>(windows.columns.windows.size());
  const int64_t pixel = windows.channels;
  const int64_t row = pixel * windows.columns.extent;
  const int64_t size = windows.images * windows.rows.extent * row;
  for (int64_t item = begin; item < end; ++item) {
    const Window& r = windows.rows.windows[item % rows];
    const int64_t origin = (item / rows * windows.rows.extent + r.begin) * row;
    for (int64_t column = 0; column < columns; ++column) {
      const Window& c = windows.columns.windows[column];
      const Taps taps{r.taps, c.taps, windows.rows.dilation * row,
                      windows.columns.dilation * pixel};
      const int64_t from = origin + c.begin * pixel;
      const int64_t to = (item * columns + column) * pixel;
      max_pool_pixel(x + from, taps, pixel, y + to, {size - from, end * columns * pixel - to});
    }
  }
}

absl::StatusOr<std::vector<Desc>> infer_max_pool(const Step& step, Descs inputs) {
  AttrReader reader(step);
  if (!count_is(reader, inputs, 1, 1) || !is_quantized_tensor(reader, inputs, 0)) {
    return reader.status();
  }
  const Windows windows = sliding_windows(reader, inputs[0]);
  FXQ_RETURN_IF_ERROR(reader.status());
  return std::vector<Desc>{tensor_desc(inputs[0].dtype, windows.output_dims(inputs[0]))};
}

absl::StatusOr<std::unique_ptr<BoundStep>> bind_max_pool(const Step& step, Descs inputs, Descs,
                                                         BindContext& context) {
  AttrReader reader(step);
  const bool wide = is_wide(inputs[0].dtype);
  Windows windows = sliding_windows(reader, inputs[0]);
  const int64_t rows = windows.images * static_cast<int64_t>(windows.rows.windows.size());
  const int64_t row_bytes = numel(inputs[0].dims) * 2 / std::max<int64_t>(rows, 1);
  return range_step(
      rows, row_bytes, context.threads, "own",
      [windows = std::move(windows), wide](int64_t begin, int64_t end, const StepBuffers& buffers) {
        const std::byte* x = buffers.inputs[0];
        std::byte* y = buffers.outputs[0];
        if (wide) {
          max_pool_rows(windows, reinterpret_cast<const int16_t*>(x), reinterpret_cast<int16_t*>(y),
                        begin, end);
        } else {
          max_pool_rows(windows, reinterpret_cast<const uint8_t*>(x), reinterpret_cast<uint8_t*>(y),
                        begin, end);
        }
      });
}

}  // namespace

Kernel kernel_MaxPool() { return {infer_max_pool, bind_max_pool}; }

}  // namespace fxq
