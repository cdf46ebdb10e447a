// ChannelShuffle: y[n, c * groups + k] = x[n, k * (C / groups) + c]; attr groups. Any dtype; bytes
// that lie channels-last are interleaved pixel by pixel.
#include "fxq/base/status.h"
#include "fxq/base/vectorize.h"
#include "fxq/runtime/kernels/checks.h"
#include "fxq/runtime/kernels/move.h"
#include "fxq/runtime/kernels/range_step.h"

namespace fxq {
namespace {

using namespace kernels;  // NOLINT(google-build-using-namespace): this file is one of its members

absl::StatusOr<std::vector<Desc>> infer_shuffle(const Step& step, Descs inputs) {
  AttrReader reader(step);
  if (!count_is(reader, inputs, 1, 1) || !is_tensor(reader, inputs, 0)) return reader.status();
  const int64_t groups = reader.integer("groups");
  const Desc& x = inputs[0];
  if (x.rank() < 3 || groups < 1 || x.dims[1] % groups != 0) {
    reader.complain(
        fmt::format("input 0 is {}, needs 3 dimensions or more and {} groups of channels",
                    x.describe(), groups));
  }
  FXQ_RETURN_IF_ERROR(reader.status());
  return std::vector<Desc>{tensor_desc(x.dtype, x.dims)};
}

// Two groups: the halves of a pixel, one byte from each in turn.
FXQ_VECTORIZE void interleave_halves(const uint8_t* __restrict x, int64_t pixels, int64_t half,
                                     uint8_t* __restrict y) {
  for (int64_t pixel = 0; pixel < pixels; ++pixel, x += 2 * half, y += 2 * half) {
    for (int64_t c = 0; c < half; ++c) {
      y[2 * c] = x[c];
      y[2 * c + 1] = x[half + c];
    }
  }
}

std::unique_ptr<BoundStep> shuffle_halves(const Desc& x, int threads) {
  const int64_t channels = x.dims[1];
  return range_step(numel(x.dims) / channels, 2 * channels, threads, "own",
                    [channels](int64_t begin, int64_t end, const StepBuffers& buffers) {
                      const int64_t at = begin * channels;
                      interleave_halves(reinterpret_cast<const uint8_t*>(buffers.inputs[0]) + at,
                                        end - begin, channels / 2,
                                        reinterpret_cast<uint8_t*>(buffers.outputs[0]) + at);
                    });
}

StridedMove shuffle_move(const Desc& x, int64_t groups) {
  const int64_t each = x.dims[1] / groups;
  const int64_t pixels = numel(absl::MakeConstSpan(x.dims).subspan(2));
  const int64_t image = x.dims[1] * pixels;
  const bool last = stored_channels_last(x.dtype, x.dims.size());
  const int64_t channel = last ? 1 : pixels;  // between neighbouring channels
  const int64_t pixel = last ? x.dims[1] : 1;
  StridedMove move;
  move.element_size = dtype_size(x.dtype);
  move.extents = {x.dims[0], each, groups, pixels};
  move.from_strides = {image, channel, each * channel, pixel};
  move.to_strides = {image, groups * channel, channel, pixel};
  return move;
}

absl::StatusOr<std::unique_ptr<BoundStep>> bind_shuffle(const Step& step, Descs inputs, Descs,
                                                        BindContext& context) {
  AttrReader reader(step);
  const int64_t groups = reader.integer("groups");
  const Desc& x = inputs[0];
  const bool bytes = stored_channels_last(x.dtype, x.dims.size()) && !is_wide(x.dtype);
  if (bytes && groups == 2) return shuffle_halves(x, context.threads);
  return move_step(shuffle_move(x, groups), 0, 0, context.threads);
}

}  // namespace

Kernel kernel_ChannelShuffle() { return {infer_shuffle, bind_shuffle}; }

}  // namespace fxq
