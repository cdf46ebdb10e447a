// For each output pixel: sums[o] = sum over taps and inputs of x * w[tap][i][o], in 64 bits;
// finish.
#include <algorithm>
#include <cstring>
#include <utility>

#include "fmt/format.h"
#include "fxq/base/status.h"
#include "fxq/base/vectorize.h"
#include "fxq/runtime/kernels/conv_routes.h"
#include "fxq/runtime/kernels/conv_weights.h"

namespace fxq::conv {
namespace {

FXQ_VECTORIZE void add_products(int32_t x, const int16_t* __restrict w, int64_t count,
                                int64_t* __restrict sums) {
  for (int64_t i = 0; i < count; ++i) sums[i] += x * w[i];
}

FXQ_VECTORIZE void add_channelwise(const uint8_t* __restrict x, int32_t shift,
                                   const int16_t* __restrict w, int64_t count,
                                   int64_t* __restrict sums) {
  for (int64_t i = 0; i < count; ++i) sums[i] += (x[i] - shift) * w[i];
}

FXQ_VECTORIZE void add_channelwise(const int16_t* __restrict x, int32_t shift,
                                   const int16_t* __restrict w, int64_t count,
                                   int64_t* __restrict sums) {
  for (int64_t i = 0; i < count; ++i) sums[i] += (x[i] - shift) * w[i];
}

// The input coordinate that `tap` of output coordinate `out` reads, or -1.
int64_t input_at(const ConvGeometry& g, int axis, int64_t out, int64_t tap) {
  int64_t in = out * g.stride[axis] - g.pad_before[axis] + tap * g.dilation[axis];
  if (g.transposed) {
    const int64_t scaled = out + g.pad_before[axis] - tap * g.dilation[axis];
    if (scaled < 0 || scaled % g.stride[axis] != 0) return -1;
    in = scaled / g.stride[axis];
  }
  return in >= 0 && in < g.in[axis] ? in : -1;
}

// x's pixel that a tap of an output pixel reads, or -1.
int64_t input_pixel(const ConvGeometry& g, int64_t pixel, int64_t tap) {
  const Axes out = {pixel / (g.out[1] * g.out[2]), pixel / g.out[2] % g.out[1], pixel % g.out[2]};
  const Axes taps = {tap / (g.kernel[1] * g.kernel[2]), tap / g.kernel[2] % g.kernel[1],
                     tap % g.kernel[2]};
  int64_t at = 0;
  for (int axis = 0; axis < 3; ++axis) {
    const int64_t in = input_at(g, axis, out[axis], taps[axis]);
    if (in < 0) return -1;
    at = at * g.in[axis] + in;
  }
  return at;
}

class PlainStep : public BoundStep {
 public:
  PlainStep(const ConvProblem& problem, std::shared_ptr<const std::vector<int16_t>> weights,
            int slices)
      : problem_(problem), weights_(std::move(weights)), slices_(slices) {
    const auto multiplier = problem.multiplier->data<float>();
    multiplier_.assign(multiplier.begin(), multiplier.end());
    bias_.resize(problem.geometry.out_channels);
    if (problem.bias) {
      std::copy_n(problem.bias->data<int32_t>().begin(), bias_.size(), bias_.begin());
    }
  }

  int slices(int) const override { return slices_; }

  absl::Status run_slice(int, int slice, const StepBuffers& buffers) const override {
    const ConvGeometry& g = problem_.geometry;
    const int64_t pixels = g.batch * g.out_pixels();
    auto* sums = reinterpret_cast<int64_t*>(buffers.worker_scratch);
    for (int64_t i = pixels * slice / slices_; i < pixels * (slice + 1) / slices_; ++i) {
      const int64_t image = i / g.out_pixels();
      const int64_t pixel = i % g.out_pixels();
      std::memset(sums, 0, sizeof(int64_t) * g.out_channels);
      if (problem_.input == DType::kI16) {
        sum_pixel(reinterpret_cast<const int16_t*>(buffers.inputs[kX]), image, pixel, sums);
      } else {
        sum_pixel(reinterpret_cast<const uint8_t*>(buffers.inputs[kX]), image, pixel, sums);
      }
      store_pixel(image, pixel, sums, buffers);
    }
    return absl::OkStatus();
  }

 private:
  template <typename X>
  void sum_pixel(const X* x, int64_t image, int64_t pixel, int64_t* sums) const {
    const ConvGeometry& g = problem_.geometry;
    for (int64_t tap = 0; tap < g.taps(); ++tap) {
      const int64_t in = input_pixel(g, pixel, tap);
      if (in < 0) continue;
      const X* from = x + (image * g.in_pixels() + in) * g.in_channels;
      const int16_t* w = weights_->data() + tap * g.group_inputs() * g.out_channels;
      const int32_t shift = problem_.storage_shift();
      if (g.group_inputs() == 1 && g.group_outputs() == 1) {
        add_channelwise(from, shift, w, g.out_channels, sums);
        continue;
      }
      for (int64_t i = 0; i < g.group_inputs(); ++i, w += g.out_channels) {
        for (int64_t group = 0; group < g.groups; ++group) {
          const int64_t first = group * g.group_outputs();
          add_products(from[group * g.group_inputs() + i] - shift, w + first, g.group_outputs(),
                       sums + first);
        }
      }
    }
  }

  void store_pixel(int64_t image, int64_t pixel, const int64_t* sums,
                   const StepBuffers& buffers) const {
    const ConvGeometry& g = problem_.geometry;
    const int64_t size = static_cast<int64_t>(dtype_size(problem_.epilogue.output));
    int64_t at = (image * g.out_pixels() + pixel) * g.out_channels;
    EpilogueTarget target;
    if (problem_.channels_first_output) {
      at = image * g.out_pixels() * g.out_channels + pixel;
      target.channel_stride = g.out_pixels();
    }
    target.output = buffers.outputs[0] + at * size;
    if (problem_.epilogue.has_other) target.other = buffers.inputs[kOther] + at * size;
    finish(problem_.epilogue, sums, bias_.data(), multiplier_.data(), 1, g.out_channels, target);
  }

  ConvProblem problem_;
  std::shared_ptr<const std::vector<int16_t>> weights_;
  std::vector<int32_t> bias_;
  std::vector<float> multiplier_;
  int slices_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<BoundStep>> bind_plain(const ConvProblem& problem,
                                                      BindContext& context) {
  FXQ_ASSIGN_OR_RETURN(
      const PackedConstant packed,
      context.packed->get(fmt::format("conv {} tap-major", problem.weight_key()),
                          [&]() -> absl::StatusOr<PackedConstant> {
                            auto words =
                                std::make_shared<std::vector<int16_t>>(tap_major_words(problem));
                            return PackedConstant{words, words->size() * sizeof(int16_t)};
                          }));
  const int64_t pixels = problem.geometry.batch * problem.geometry.out_pixels();
  const int slices = static_cast<int>(std::min<int64_t>(pixels, context.threads * 4));
  context.worker_scratch_bytes = sizeof(int64_t) * problem.geometry.out_channels;
  return std::make_unique<PlainStep>(
      problem, std::static_pointer_cast<const std::vector<int16_t>>(packed.data), slices);
}

}  // namespace fxq::conv
