// Requantize: y = sat(rint((float)q * (float)(scale_in / scale_out))); attrs scale_in, scale_out,
//             dtype. 8 to 8 bits is a table.
// Relu:  max(q, 0).  Relu6: min(max(q, 0), hi), attr hi = 6 in units of the scale. Scales are kept.
#include "fxq/base/status.h"
#include "fxq/base/vectorize.h"
#include "fxq/runtime/kernels/checks.h"
#include "fxq/runtime/kernels/lookup.h"
#include "fxq/runtime/kernels/range_step.h"

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
FXQ_INLINE void clamp_run(const T* x, T* y, int64_t count, T low, T high) {
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

Sharing share_same_width(const Step&, Descs inputs, Descs outputs) {
  if (is_wide(inputs[0].dtype) != is_wide(outputs[0].dtype)) return {};
  return {Sharing::Kind::kInPlace, {0}};
}

}  // namespace

Kernel kernel_Requantize() { return {infer_requantize, bind_requantize, share_same_width}; }
Kernel kernel_Relu() { return {infer_relu, bind_relu, share_relu}; }
Kernel kernel_Relu6() { return {infer_relu, bind_relu, share_relu}; }

}  // namespace fxq
