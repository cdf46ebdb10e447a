// Requantize: y = sat(rint((float)q * (float)(scale_in / scale_out))); attrs scale_in, scale_out,
//             dtype. 8 to 8 bits is a table.
// Relu:  max(q, 0).  Relu6: min(max(q, 0), hi), attr hi = 6 in units of the scale. Scales are kept.
// BatchNorm: y = sat(rint(act(fmaf((float)q, a[c], b[c])))); inputs x, a and b: constant f32 [C];
//            attrs dtype, activation, clip_hi.
#include <cmath>

#include "fxq/base/status.h"
#include "fxq/runtime/kernels/checks.h"
#include "fxq/runtime/kernels/lookup.h"
#include "fxq/runtime/kernels/range_step.h"
#include "fxq/runtime/vectorize.h"

namespace fxq {
namespace {

using namespace kernels;  // NOLINT(google-build-using-namespace): this file is one of its members

absl::StatusOr<std::vector<Desc>> infer_requantize(const Step& step, Descs inputs) {
  AttrReader reader(step);
  reader.scale("scale_in");
  reader.scale("scale_out");
  if (count_is(reader, inputs, 1, 1)) is_quantized_tensor(reader, inputs, 0);
  FXQ_RETURN_IF_ERROR(reader.status());
  const DType dtype = quantized_dtype(reader, inputs[0].dtype);
  FXQ_RETURN_IF_ERROR(reader.status());
  return std::vector<Desc>{tensor_desc(dtype, inputs[0].dims)};
}

struct AffineRule {
  OutputRange range;
  int shift_in = 0;
  int shift_out = 0;
};

AffineRule affine_rule(OutputRange range, DType from, DType to) {
  return {range, storage_shift(from), storage_shift(to)};
}

template <typename X, typename Y>
std::unique_ptr<BoundStep> rescale_step(const Desc& input, float m, const AffineRule& rule,
                                        int threads) {
  return range_step(numel(input.dims), sizeof(X) + sizeof(Y), threads, "own",
                    [m, rule](int64_t begin, int64_t end, const StepBuffers& buffers) {
                      const auto* x = reinterpret_cast<const X*>(buffers.inputs[0]);
                      auto* y = reinterpret_cast<Y*>(buffers.outputs[0]);
                      for (int64_t i = begin; i < end; ++i) {
                        const float p = static_cast<float>(x[i] - rule.shift_in) * m;
                        y[i] = static_cast<Y>(round_to(p, rule.range) + rule.shift_out);
                      }
                    });
}

std::unique_ptr<BoundStep> byte_step(const Desc& input, const ByteTable& table, int threads) {
  return range_step(numel(input.dims), 2, threads, look_up_implementation(),
                    [table](int64_t begin, int64_t end, const StepBuffers& buffers) {
                      const auto* x = reinterpret_cast<const uint8_t*>(buffers.inputs[0]);
                      auto* y = reinterpret_cast<uint8_t*>(buffers.outputs[0]);
                      look_up(table, x + begin, y + begin, end - begin);
                    });
}

absl::StatusOr<std::unique_ptr<BoundStep>> bind_requantize(const Step& step, Descs inputs,
                                                           Descs outputs, BindContext& context) {
  AttrReader reader(step);
  const DType from = inputs[0].dtype;
  const DType to = outputs[0].dtype;
  const double scale_in = reader.scale("scale_in");
  const double scale_out = reader.scale("scale_out");
  if (!is_wide(from) && !is_wide(to)) {
    return byte_step(inputs[0], requantize_table(from, scale_in, to, scale_out), context.threads);
  }
  const IntegerRange range = integer_range(to);
  const AffineRule rule =
      affine_rule({static_cast<float>(range.low), static_cast<float>(range.high)}, from, to);
  const auto m = static_cast<float>(scale_in / scale_out);
  if (!is_wide(to)) return rescale_step<int16_t, uint8_t>(inputs[0], m, rule, context.threads);
  if (!is_wide(from)) return rescale_step<uint8_t, int16_t>(inputs[0], m, rule, context.threads);
  return rescale_step<int16_t, int16_t>(inputs[0], m, rule, context.threads);
}

IntegerRange relu_range(AttrReader& reader, const Step& step, DType dtype) {
  IntegerRange range = integer_range(dtype);
  range.low = 0;
  if (step.kernel == "Relu6") {
    const int64_t hi = reader.integer("hi");
    range.high = static_cast<int>(std::min<int64_t>(std::max<int64_t>(hi, 0), range.high));
  }
  return range;
}

absl::StatusOr<std::vector<Desc>> infer_relu(const Step& step, Descs inputs) {
  AttrReader reader(step);
  if (count_is(reader, inputs, 1, 1)) is_quantized_tensor(reader, inputs, 0);
  relu_range(reader, step, DType::kU8);
  FXQ_RETURN_IF_ERROR(reader.status());
  return std::vector<Desc>{tensor_desc(inputs[0].dtype, inputs[0].dims)};
}

template <typename T>
inline __attribute__((always_inline)) void clamp_run(const T* x, T* y, int64_t count, T low,
                                                     T high) {
  FXQ_IVDEP
  for (int64_t i = 0; i < count; ++i) y[i] = std::min(std::max(x[i], low), high);
}
FXQ_VECTORIZE void clamp_bytes(const uint8_t* x, uint8_t* y, int64_t n, uint8_t low, uint8_t high) {
  clamp_run(x, y, n, low, high);
}
FXQ_VECTORIZE void clamp_words(const int16_t* x, int16_t* y, int64_t n, int16_t low, int16_t high) {
  clamp_run(x, y, n, low, high);
}

absl::StatusOr<std::unique_ptr<BoundStep>> bind_relu(const Step& step, Descs inputs, Descs,
                                                     BindContext& context) {
  AttrReader reader(step);
  const DType dtype = inputs[0].dtype;
  const IntegerRange range = relu_range(reader, step, dtype);
  const int low = range.low + storage_shift(dtype);
  const int high = range.high + storage_shift(dtype);
  const bool wide = is_wide(dtype);
  return range_step(numel(inputs[0].dims), 2, context.threads, "own",
                    [=](int64_t begin, int64_t end, const StepBuffers& buffers) {
                      const std::byte* x = buffers.inputs[0];
                      std::byte* y = buffers.outputs[0];
                      if (wide) {
                        clamp_words(reinterpret_cast<const int16_t*>(x) + begin,
                                    reinterpret_cast<int16_t*>(y) + begin, end - begin,
                                    static_cast<int16_t>(low), static_cast<int16_t>(high));
                      } else {
                        clamp_bytes(reinterpret_cast<const uint8_t*>(x) + begin,
                                    reinterpret_cast<uint8_t*>(y) + begin, end - begin,
                                    static_cast<uint8_t>(low), static_cast<uint8_t>(high));
                      }
                    });
}

// A quint8 has nothing below zero.
Sharing share_relu(const Step& step, Descs inputs, Descs) {
  if (step.kernel == "Relu" && inputs[0].dtype == DType::kU8) return {Sharing::Kind::kAlias, {0}};
  return {Sharing::Kind::kInPlace, {0}};
}

absl::StatusOr<std::vector<Desc>> infer_batch_norm(const Step& step, Descs inputs) {
  AttrReader reader(step);
  if (count_is(reader, inputs, 3, 3) && is_quantized_tensor(reader, inputs, 0)) {
    const int64_t rank = inputs[0].rank();
    if (rank < 2 || rank > 5)
      reader.complain(fmt::format("input 0 has {} dimensions, needs 2 to 5", rank));
    for (size_t i : {1, 2}) {
      if (!is_constant(reader, inputs, i, DType::kF32) || rank < 2) continue;
      if (inputs[i].dims != std::vector<int64_t>{inputs[0].dims[1]}) {
        reader.complain(fmt::format("input {} is {}, needs one value for each of {} channels", i,
                                    inputs[i].describe(), inputs[0].dims[1]));
      }
    }
  }
  FXQ_RETURN_IF_ERROR(reader.status());
  const DType dtype = quantized_dtype(reader, inputs[0].dtype);
  output_range(reader, dtype);
  FXQ_RETURN_IF_ERROR(reader.status());
  return std::vector<Desc>{tensor_desc(dtype, inputs[0].dims)};
}

template <typename X, typename Y>
inline __attribute__((always_inline)) void affine_run(const X* x, const float* a, const float* b,
                                                      Y* y, int64_t count, AffineRule rule) {
  FXQ_IVDEP
  for (int64_t i = 0; i < count; ++i) {
    const float p =
        std::fma(static_cast<float>(static_cast<int>(x[i]) - rule.shift_in), a[i], b[i]);
    y[i] = static_cast<Y>(round_to(p, rule.range) + rule.shift_out);
  }
}
FXQ_VECTORIZE void affine(const uint8_t* x, const float* a, const float* b, uint8_t* y,
                          int64_t count, AffineRule rule) {
  affine_run(x, a, b, y, count, rule);
}
template <typename X, typename Y>
void affine(const X* x, const float* a, const float* b, Y* y, int64_t count, AffineRule rule) {
  affine_run(x, a, b, y, count, rule);
}

template <typename X, typename Y>
std::unique_ptr<BoundStep> batch_norm_step(const Desc& input, const AffineRule& rule, int threads) {
  const int64_t channels = input.dims[1];
  return range_step(numel(input.dims) / channels, 2 * channels, threads, "own",
                    [=](int64_t begin, int64_t end, const StepBuffers& buffers) {
                      const auto* x = reinterpret_cast<const X*>(buffers.inputs[0]);
                      const auto* a = reinterpret_cast<const float*>(buffers.inputs[1]);
                      const auto* b = reinterpret_cast<const float*>(buffers.inputs[2]);
                      auto* y = reinterpret_cast<Y*>(buffers.outputs[0]);
                      for (int64_t pixel = begin; pixel < end; ++pixel) {
                        affine(x + pixel * channels, a, b, y + pixel * channels, channels, rule);
                      }
                    });
}

absl::StatusOr<std::unique_ptr<BoundStep>> bind_batch_norm(const Step& step, Descs inputs,
                                                           Descs outputs, BindContext& context) {
  AttrReader reader(step);
  const DType from = inputs[0].dtype;
  const DType to = outputs[0].dtype;
  const AffineRule rule = affine_rule(output_range(reader, to), from, to);
  if (is_wide(from) && is_wide(to)) {
    return batch_norm_step<int16_t, int16_t>(inputs[0], rule, context.threads);
  }
  if (is_wide(from)) return batch_norm_step<int16_t, uint8_t>(inputs[0], rule, context.threads);
  if (is_wide(to)) return batch_norm_step<uint8_t, int16_t>(inputs[0], rule, context.threads);
  return batch_norm_step<uint8_t, uint8_t>(inputs[0], rule, context.threads);
}

Sharing share_same_width(const Step&, Descs inputs, Descs outputs) {
  if (is_wide(inputs[0].dtype) != is_wide(outputs[0].dtype)) return {};
  return {Sharing::Kind::kInPlace, {0}};
}

}  // namespace

Kernel kernel_Requantize() { return {infer_requantize, bind_requantize, share_same_width}; }
Kernel kernel_Relu() { return {infer_relu, bind_relu, share_relu}; }
Kernel kernel_Relu6() { return {infer_relu, bind_relu, share_relu}; }
Kernel kernel_BatchNorm() { return {infer_batch_norm, bind_batch_norm, share_same_width}; }

}  // namespace fxq
