// Quantize:   q = sat(rint(x * (1.0f / scale))), not a number -> 0    attrs dtype, scale
// Dequantize: x = (float)q * scale                                    attr  scale
// Between plain floats and storage order: a tile of channels x pixels is converted in one order and
// written in the other.
#include <cstring>

#include "fxq/base/status.h"
#include "fxq/base/vectorize.h"
#include "fxq/runtime/kernels/checks.h"
#include "fxq/runtime/kernels/interleave.h"
#include "fxq/runtime/kernels/range_step.h"

namespace fxq {
namespace {

using namespace kernels;  // NOLINT(google-build-using-namespace): this file is one of its members

constexpr int64_t kPixels = 128;
constexpr int64_t kChannels = 16;

struct QuantizeRule {
  float inverse = 1;
  OutputRange range;
  int shift = 0;
};

template <typename T>
FXQ_INLINE void quantize_row(const float* x, T* q, int64_t count, QuantizeRule rule) {
  for (int64_t i = 0; i < count; ++i) {
    const float p = x[i] * rule.inverse;
    const float number = p == p ? p : 0.0F;
    q[i] = static_cast<T>(round_to(number, rule.range) + rule.shift);
  }
}

FXQ_VECTORIZE void quantize_bytes(const float* x, uint8_t* q, int64_t count, QuantizeRule rule) {
  quantize_row(x, q, count, rule);
}
FXQ_VECTORIZE void quantize_words(const float* x, int16_t* q, int64_t count, QuantizeRule rule) {
  quantize_row(x, q, count, rule);
}
void quantize(const float* x, uint8_t* q, int64_t count, QuantizeRule rule) {
  quantize_bytes(x, q, count, rule);
}
void quantize(const float* x, int16_t* q, int64_t count, QuantizeRule rule) {
  quantize_words(x, q, count, rule);
}

template <typename T>
FXQ_INLINE void dequantize_row(const T* q, float* x, int64_t count, float scale, int shift) {
  for (int64_t i = 0; i < count; ++i) {
    x[i] = static_cast<float>(static_cast<int>(q[i]) - shift) * scale;
  }
}

FXQ_VECTORIZE void dequantize(const uint8_t* q, float* x, int64_t count, float scale, int shift) {
  dequantize_row(q, x, count, scale, shift);
}
FXQ_VECTORIZE void dequantize_words(const int16_t* q, float* x, int64_t count, float scale,
                                    int shift) {
  dequantize_row(q, x, count, scale, shift);
}
void dequantize(const int16_t* q, float* x, int64_t count, float scale, int shift) {
  dequantize_words(q, x, count, scale, shift);
}

// One image is [channels, pixels] outside and [pixels, channels] in storage; a plain tensor is one
// image with one channel.
struct Layout {
  int64_t images = 1;
  int64_t channels = 1;
  int64_t pixels = 1;
  int64_t blocks() const { return (pixels + kPixels - 1) / kPixels; }
};

Layout layout_of(DType dtype, const std::vector<int64_t>& dims) {
  if (!stored_channels_last(dtype, dims.size()) || dims[1] == 1) return {1, 1, numel(dims)};
  return {dims[0], dims[1], numel(absl::MakeConstSpan(dims).subspan(2))};
}

// Calls tile(image, first channel, channels, first pixel, pixels) for blocks of pixels [begin,
// end).
template <typename Tile>
void for_tiles(const Layout& layout, int64_t begin, int64_t end, const Tile& tile) {
  for (int64_t item = begin; item < end; ++item) {
    const int64_t image = item / layout.blocks();
    const int64_t pixel = item % layout.blocks() * kPixels;
    const int64_t pixels = std::min(kPixels, layout.pixels - pixel);
    for (int64_t channel = 0; channel < layout.channels; channel += kChannels) {
      tile(image, channel, std::min(kChannels, layout.channels - channel), pixel, pixels);
    }
  }
}

// to[p * all_channels + c] = tile[c][p]
template <typename T>
void interleave(const T (&tile)[kChannels][kPixels], int64_t all_channels, int64_t channels,
                int64_t pixels, T* to) {
  if constexpr (sizeof(T) == 1) {
    if (all_channels == 3) {
      const uint8_t* const planes[] = {tile[0], tile[1], tile[2]};
      return interleave_three(planes, pixels, to);
    }
  }
  for (int64_t p = 0; p < pixels; ++p) {
    for (int64_t c = 0; c < channels; ++c) to[p * all_channels + c] = tile[c][p];
  }
}

template <typename T>
void quantize_tiles(const float* x, T* q, const Layout& layout, const QuantizeRule& rule,
                    int64_t begin, int64_t end) {
  T tile[kChannels][kPixels];
  for_tiles(layout, begin, end,
            [&](int64_t image, int64_t channel, int64_t channels, int64_t pixel, int64_t pixels) {
              const int64_t start = image * layout.channels * layout.pixels;
              const float* from = x + start + channel * layout.pixels + pixel;
              T* to = q + start + pixel * layout.channels + channel;
              if (layout.channels == 1) return quantize(from, to, pixels, rule);
              for (int64_t c = 0; c < channels; ++c)
                quantize(from + c * layout.pixels, tile[c], pixels, rule);
              interleave(tile, layout.channels, channels, pixels, to);
            });
}

template <typename T>
void dequantize_tiles(const T* q, float* x, const Layout& layout, float scale, int shift,
                      int64_t begin, int64_t end) {
  T tile[kChannels][kPixels];
  for_tiles(layout, begin, end,
            [&](int64_t image, int64_t channel, int64_t channels, int64_t pixel, int64_t pixels) {
              const int64_t start = image * layout.channels * layout.pixels;
              const T* from = q + start + pixel * layout.channels + channel;
              float* to = x + start + channel * layout.pixels + pixel;
              if (layout.channels == 1) return dequantize(from, to, pixels, scale, shift);
              for (int64_t p = 0; p < pixels; ++p) {
                for (int64_t c = 0; c < channels; ++c) tile[c][p] = from[p * layout.channels + c];
              }
              for (int64_t c = 0; c < channels; ++c) {
                dequantize(tile[c], to + c * layout.pixels, pixels, scale, shift);
              }
            });
}

absl::StatusOr<std::vector<Desc>> infer_quantize(const Step& step, Descs inputs) {
  AttrReader reader(step);
  reader.scale("scale");
  const DType dtype = quantized_dtype(reader, std::nullopt);
  if (count_is(reader, inputs, 1, 1) && is_tensor(reader, inputs, 0) &&
      inputs[0].dtype != DType::kF32) {
    reader.complain(fmt::format("input 0 is {}, needs f32", inputs[0].describe()));
  }
  FXQ_RETURN_IF_ERROR(reader.status());
  return std::vector<Desc>{tensor_desc(dtype, inputs[0].dims)};
}

template <typename T>
std::unique_ptr<BoundStep> quantize_step(const Layout& layout, const QuantizeRule& rule,
                                         int threads) {
  return range_step(layout.images * layout.blocks(), kPixels * layout.channels * 5, threads, "own",
                    [layout, rule](int64_t begin, int64_t end, const StepBuffers& buffers) {
                      quantize_tiles(reinterpret_cast<const float*>(buffers.inputs[0]),
                                     reinterpret_cast<T*>(buffers.outputs[0]), layout, rule, begin,
                                     end);
                    });
}

absl::StatusOr<std::unique_ptr<BoundStep>> bind_quantize(const Step& step, Descs, Descs outputs,
                                                         BindContext& context) {
  AttrReader reader(step);
  const DType dtype = outputs[0].dtype;
  const IntegerRange range = integer_range(dtype);
  QuantizeRule rule;
  rule.inverse = 1.0F / static_cast<float>(reader.scale("scale"));
  rule.range = {static_cast<float>(range.low), static_cast<float>(range.high)};
  rule.shift = storage_shift(dtype);
  const Layout layout = layout_of(dtype, outputs[0].dims);
  if (is_wide(dtype)) return quantize_step<int16_t>(layout, rule, context.threads);
  return quantize_step<uint8_t>(layout, rule, context.threads);
}

absl::StatusOr<std::vector<Desc>> infer_dequantize(const Step& step, Descs inputs) {
  AttrReader reader(step);
  reader.scale("scale");
  if (count_is(reader, inputs, 1, 1)) is_quantized_tensor(reader, inputs, 0);
  FXQ_RETURN_IF_ERROR(reader.status());
  return std::vector<Desc>{tensor_desc(DType::kF32, inputs[0].dims)};
}

template <typename T>
std::unique_ptr<BoundStep> dequantize_step(const Layout& layout, float scale, int shift,
                                           int threads) {
  return range_step(layout.images * layout.blocks(), kPixels * layout.channels * 5, threads, "own",
                    [=](int64_t begin, int64_t end, const StepBuffers& buffers) {
                      dequantize_tiles(reinterpret_cast<const T*>(buffers.inputs[0]),
                                       reinterpret_cast<float*>(buffers.outputs[0]), layout, scale,
                                       shift, begin, end);
                    });
}

absl::StatusOr<std::unique_ptr<BoundStep>> bind_dequantize(const Step& step, Descs inputs, Descs,
                                                           BindContext& context) {
  AttrReader reader(step);
  const auto scale = static_cast<float>(reader.scale("scale"));
  const DType dtype = inputs[0].dtype;
  const Layout layout = layout_of(dtype, inputs[0].dims);
  const int shift = storage_shift(dtype);
  if (is_wide(dtype)) return dequantize_step<int16_t>(layout, scale, shift, context.threads);
  return dequantize_step<uint8_t>(layout, scale, shift, context.threads);
}

}  // namespace

Kernel kernel_Quantize() { return {infer_quantize, bind_quantize}; }
Kernel kernel_Dequantize() { return {infer_dequantize, bind_dequantize}; }

}  // namespace fxq
