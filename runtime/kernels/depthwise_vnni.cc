// Depthwise convolution on AVX512-VNNI, up to 1.8 times as fast as oneDNN's. 64 channels at a time:
//   columns   the bytes of 4 kernel rows, interleaved: one 32-bit lane holds the 4 of a channel
//   outputs   sum += dot4(column[x * stride + kx * dilation], weights[kx]) for each kernel column
//   epilogue  rint(clamp(float(sum + bias) * multiplier, low, high) + shift), as conv_epilogue.h
// The interleaving leaves register j with channels 4j..4j+3 of each 16; packing restores the order.
#include <algorithm>
#include <cstring>
#include <utility>

#include "fxq/runtime/isa.h"
#include "fxq/runtime/kernels/conv_routes.h"
#include "fxq/runtime/kernels/conv_weights.h"

#if defined(__x86_64__)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC bug 105593: its own intrinsics
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#define FXQ_VNNI __attribute__((target("avx512f,avx512bw,avx512vnni")))

namespace fxq::conv {
namespace {

constexpr int64_t kLanes = 64;    // channels of a block
constexpr int64_t kQuads = 4;     // registers of a block's 32-bit sums
constexpr int64_t kOutputs = 32;  // pixels whose columns are built at a time: they stay in L1

// Everything of one block of channels, in the order of the interleaving.
struct Block {
  std::vector<int8_t> weights;  // [row group][kernel column][quad][64]
  alignas(64) int32_t bias[kLanes];
  alignas(64) float multiplier[kLanes];
};

struct Range {
  float low, high, shift;
};

// The channel, within its block, of element `lane` (0..15) of quad `quad`.
int64_t channel_of(int64_t quad, int64_t lane) { return lane / 4 * 16 + quad * 4 + lane % 4; }

// Four kernel rows of one block: where their bytes come from, column by column.
struct Rows {
  const uint8_t* at[4];
  int64_t step[4];  // 0 for a row of padding
};

FXQ_VNNI inline void interleave(__m512i a, __m512i b, __m512i c, __m512i d, __m512i* quads) {
  const __m512i ab_low = _mm512_unpacklo_epi8(a, b);
  const __m512i ab_high = _mm512_unpackhi_epi8(a, b);
  const __m512i cd_low = _mm512_unpacklo_epi8(c, d);
  const __m512i cd_high = _mm512_unpackhi_epi8(c, d);
  _mm512_store_si512(quads + 0, _mm512_unpacklo_epi16(ab_low, cd_low));
  _mm512_store_si512(quads + 1, _mm512_unpackhi_epi16(ab_low, cd_low));
  _mm512_store_si512(quads + 2, _mm512_unpacklo_epi16(ab_high, cd_high));
  _mm512_store_si512(quads + 3, _mm512_unpackhi_epi16(ab_high, cd_high));
}

// Columns [first, first + count) of the source, which has `width`; outside it is `fill`.
FXQ_VNNI void build_columns(const Rows& rows, int64_t first, int64_t count, int64_t width,
                            __m512i fill, __mmask64 mask, __m512i* columns) {
  for (int64_t i = 0; i < count; ++i, columns += kQuads) {
    const int64_t x = first + i;
    if (x < 0 || x >= width) {
      interleave(fill, fill, fill, fill, columns);
      continue;
    }
    interleave(_mm512_maskz_loadu_epi8(mask, rows.at[0] + x * rows.step[0]),
               _mm512_maskz_loadu_epi8(mask, rows.at[1] + x * rows.step[1]),
               _mm512_maskz_loadu_epi8(mask, rows.at[2] + x * rows.step[2]),
               _mm512_maskz_loadu_epi8(mask, rows.at[3] + x * rows.step[3]), columns);
  }
}

FXQ_VNNI inline __m512i finish_quad(__m512i sum, const float* multiplier, __m512 low, __m512 high,
                                    __m512 shift) {
  const __m512 p = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), _mm512_load_ps(multiplier));
  const __m512 clamped = _mm512_min_ps(_mm512_max_ps(p, low), high);
  return _mm512_cvt_roundps_epi32(_mm512_add_ps(clamped, shift),
                                  _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

// `groups` row groups of `kernel_columns` each; column i of group r is columns[r][i].
template <int kernel_columns, int groups>
FXQ_VNNI void sum_outputs(const Block& block, const Range& range, const __m512i* columns,
                          int64_t columns_of_group, int64_t stride, int64_t dilation,
                          int64_t outputs, __mmask64 mask, uint8_t* y, int64_t y_step) {
  // Copied once: through `y`, which may alias anything, they would be read again for each pixel.
  __m512i weights[groups * kernel_columns * kQuads];
#pragma GCC unroll 64
  for (int i = 0; i < groups * kernel_columns * kQuads; ++i) {
    weights[i] = _mm512_loadu_si512(block.weights.data() + i * kLanes);
  }
  const __m512 low = _mm512_set1_ps(range.low);
  const __m512 high = _mm512_set1_ps(range.high);
  const __m512 shift = _mm512_set1_ps(range.shift);
  for (int64_t x = 0; x < outputs; ++x, y += y_step) {
    __m512i s0 = _mm512_load_si512(block.bias), s1 = _mm512_load_si512(block.bias + 16);
    __m512i s2 = _mm512_load_si512(block.bias + 32), s3 = _mm512_load_si512(block.bias + 48);
#pragma GCC unroll 2
    for (int group = 0; group < groups; ++group) {
      const __m512i* column = columns + (group * columns_of_group + x * stride) * kQuads;
      const __m512i* w = weights + group * kernel_columns * kQuads;
#pragma GCC unroll 8
      for (int kx = 0; kx < kernel_columns; ++kx, column += dilation * kQuads, w += kQuads) {
        s0 = _mm512_dpbusd_epi32(s0, column[0], w[0]);
        s1 = _mm512_dpbusd_epi32(s1, column[1], w[1]);
        s2 = _mm512_dpbusd_epi32(s2, column[2], w[2]);
        s3 = _mm512_dpbusd_epi32(s3, column[3], w[3]);
      }
    }
    const __m512i i0 = finish_quad(s0, block.multiplier, low, high, shift);
    const __m512i i1 = finish_quad(s1, block.multiplier + 16, low, high, shift);
    const __m512i i2 = finish_quad(s2, block.multiplier + 32, low, high, shift);
    const __m512i i3 = finish_quad(s3, block.multiplier + 48, low, high, shift);
    const __m512i bytes =
        _mm512_packus_epi16(_mm512_packs_epi32(i0, i1), _mm512_packs_epi32(i2, i3));
    _mm512_mask_storeu_epi8(y, mask, bytes);
  }
}

using SumOutputs = decltype(&sum_outputs<3, 1>);

SumOutputs sums_for(const ConvGeometry& g) {
  const bool tall = g.kernel[1] > 4;
  switch (g.kernel[2]) {
    case 3:
      return tall ? nullptr : &sum_outputs<3, 1>;
    case 5:
      return tall ? &sum_outputs<5, 2> : &sum_outputs<5, 1>;
    case 7:
      return tall ? &sum_outputs<7, 2> : nullptr;
    default:
      return nullptr;
  }
}

// Half-empty blocks are slower than oneDNN (measured: 32 channels, and 96 with stride 2).
bool fills_blocks(const ConvGeometry& g) {
  const int64_t lanes = (g.out_channels + kLanes - 1) / kLanes * kLanes;
  return 100 * g.out_channels >= (g.stride[2] == 1 ? 75 : 90) * lanes;
}

class DepthwiseStep : public BoundStep {
 public:
  DepthwiseStep(const ConvProblem& problem, int threads);

  int slices(int) const override { return slices_; }
  std::string implementation() const override { return "depthwise:avx512_core_vnni"; }
  size_t scratch_bytes() const {
    return groups_ * chunk_columns(kOutputs) * kQuads * sizeof(__m512i);
  }

  absl::Status run_slice(int, int slice, const StepBuffers& buffers) const override {
    const int64_t rows = geometry_.batch * geometry_.out[1];
    for (int64_t row = rows * slice / slices_; row < rows * (slice + 1) / slices_; ++row) {
      for (size_t block = 0; block < blocks_.size(); ++block) {
        run_row(row / geometry_.out[1], row % geometry_.out[1], block, buffers);
      }
    }
    return absl::OkStatus();
  }

 private:
  int64_t chunk_columns(int64_t outputs) const {
    return (outputs - 1) * geometry_.stride[2] + geometry_.extent(2);
  }
  void run_row(int64_t image, int64_t y, size_t block, const StepBuffers& buffers) const;
  Rows rows_of(const uint8_t* x, int64_t y, int64_t group) const;

  ConvGeometry geometry_;
  SumOutputs sum_;
  int64_t groups_;  // of 4 kernel rows
  int slices_;
  Range range_;
  std::vector<Block> blocks_;
  std::vector<uint8_t> fill_;  // a pixel of padding, 64 channels
};

DepthwiseStep::DepthwiseStep(const ConvProblem& problem, int threads)
    : geometry_(problem.geometry),
      sum_(sums_for(problem.geometry)),
      groups_((problem.geometry.kernel[1] + 3) / 4),
      slices_(static_cast<int>(
          std::clamp<int64_t>(problem.geometry.macs() / (1 << 17), 1,
                              std::min<int64_t>(threads, geometry_.batch * geometry_.out[1])))),
      fill_(kLanes, static_cast<uint8_t>(problem.storage_shift())) {
  const ConvGeometry& g = geometry_;
  const Epilogue& epilogue = problem.epilogue;
  const float shift = epilogue.output == DType::kI8 ? 128.0f : 0.0f;
  range_ = {std::max(epilogue.low, -shift), std::min(epilogue.high, 255.0f - shift), shift};
  const ByteWeights weights = canonical_bytes(problem, 1);
  const SumBounds bounds = sum_bounds(problem, weights.values, true);
  blocks_.resize((g.out_channels + kLanes - 1) / kLanes);
  for (size_t b = 0; b < blocks_.size(); ++b) {
    Block& block = blocks_[b];
    block.weights.resize(groups_ * g.kernel[2] * kQuads * kLanes);
    for (int64_t at = 0; at < kLanes; ++at) {
      const int64_t c = b * kLanes + channel_of(at / 16, at % 16);
      const bool real = c < g.out_channels;
      block.bias[at] = real ? static_cast<int32_t>(bounds.bias[c]) : 0;
      block.multiplier[at] = real ? problem.multiplier->data<float>()[c] : 0.0f;
      for (int64_t tap = 0; real && tap < g.taps(); ++tap) {
        const int64_t ky = tap / g.kernel[2];
        const int64_t column = ky / 4 * g.kernel[2] + tap % g.kernel[2];
        const int64_t quad = column * kQuads + at / 16;
        block.weights[quad * kLanes + at % 16 * 4 + ky % 4] = weights.values[c * g.taps() + tap];
      }
    }
  }
}

Rows DepthwiseStep::rows_of(const uint8_t* x, int64_t y, int64_t group) const {
  const ConvGeometry& g = geometry_;
  Rows rows;
  for (int64_t i = 0; i < 4; ++i) {
    const int64_t ky = group * 4 + i;
    const int64_t in = y * g.stride[1] - g.pad_before[1] + ky * g.dilation[1];
    // A fifth row of a group has weights of 0: what it reads does not matter.
    const bool inside = ky < g.kernel[1] && in >= 0 && in < g.in[1];
    rows.at[i] = inside ? x + in * g.in[2] * g.in_channels : fill_.data();
    rows.step[i] = inside ? g.in_channels : 0;
  }
  return rows;
}

FXQ_VNNI void DepthwiseStep::run_row(int64_t image, int64_t y, size_t block,
                                     const StepBuffers& buffers) const {
  const ConvGeometry& g = geometry_;
  const int64_t channel = block * kLanes;
  const int64_t channels = std::min(kLanes, g.out_channels - channel);
  const __mmask64 mask = channels == kLanes ? ~__mmask64{0} : (__mmask64{1} << channels) - 1;
  const __m512i fill = _mm512_loadu_si512(fill_.data());
  const auto* x = reinterpret_cast<const uint8_t*>(buffers.inputs[kX]) +
                  image * g.in_pixels() * g.in_channels + channel;
  auto* out = reinterpret_cast<uint8_t*>(buffers.outputs[0]) +
              (image * g.out_pixels() + y * g.out[2]) * g.out_channels + channel;
  auto* columns = reinterpret_cast<__m512i*>(buffers.worker_scratch);
  for (int64_t begin = 0; begin < g.out[2]; begin += kOutputs) {
    const int64_t outputs = std::min(kOutputs, g.out[2] - begin);
    const int64_t count = chunk_columns(outputs);
    for (int64_t group = 0; group < groups_; ++group) {
      build_columns(rows_of(x, y, group), begin * g.stride[2] - g.pad_before[2], count, g.in[2],
                    fill, mask, columns + group * count * kQuads);
    }
    sum_(blocks_[block], range_, columns, count, g.stride[2], g.dilation[2], outputs, mask,
         out + begin * g.out_channels, g.out_channels);
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<BoundStep>> bind_depthwise(const ConvProblem& problem,
                                                          BindContext& context) {
  const ConvGeometry& g = problem.geometry;
  const DType output = problem.epilogue.output;
  const bool bytes = problem.input != DType::kI16 && problem.weight->dtype() == DType::kI8 &&
                     (output == DType::kU8 || output == DType::kI8);
  if (!has_avx512_vnni() || !bytes || problem.epilogue.has_other || g.transposed ||
      g.row_axis() == 0 || g.groups == 1 || g.group_inputs() != 1 || g.group_outputs() != 1 ||
      sums_for(g) == nullptr || g.kernel[1] > 8 || !fills_blocks(g)) {
    return absl::UnimplementedError("no depthwise kernel for this");
  }
  auto step = std::make_unique<DepthwiseStep>(problem, context.threads);
  context.worker_scratch_bytes = step->scratch_bytes();
  return step;
}

}  // namespace fxq::conv

#else

namespace fxq::conv {

absl::StatusOr<std::unique_ptr<BoundStep>> bind_depthwise(const ConvProblem&, BindContext&) {
  return absl::UnimplementedError("no depthwise kernel for this processor");
}

}  // namespace fxq::conv

#endif
