// Add: p = fmaf(mb, (float)qb, (float)qa * ma)    ma = (float)(scale_a / scale_out), mb likewise
// Sub: the same with -mb
// Mul: p = ((float)qa * (float)qb) * m            m = (float)(scale_a * scale_b / scale_out)
// then the activation, y = sat(rint(p)).  attrs scale_a, scale_b, scale_out, dtype, activation,
// clip_hi. Operands and output may each be u8, i8 or i16 and broadcast.
#include "fxq/base/status.h"
#include "fxq/base/vectorize.h"
#include "fxq/runtime/kernels/binary_run.h"
#include "fxq/runtime/kernels/broadcast.h"
#include "fxq/runtime/kernels/checks.h"
#include "fxq/runtime/kernels/range_step.h"

namespace fxq {
namespace {

using namespace kernels;  // NOLINT(google-build-using-namespace): this file is one of its members

FXQ_VECTORIZE void add_words(const int16_t* a, int64_t step_a, const int16_t* b, int64_t step_b,
                             int16_t* y, int64_t count, BinaryRule rule) {
  binary_any<AddOp>(a, step_a, b, step_b, y, count, rule);
}
FXQ_VECTORIZE void mul_words(const int16_t* a, int64_t step_a, const int16_t* b, int64_t step_b,
                             int16_t* y, int64_t count, BinaryRule rule) {
  binary_any<MulOp>(a, step_a, b, step_b, y, count, rule);
}

template <typename A, typename B, typename Y>
using RunFn = void (*)(const A*, int64_t, const B*, int64_t, Y*, int64_t, BinaryRule);

// Operands of one width have vector code; mixtures of 8 and 16 bits are rare.
template <typename Op, typename A, typename B, typename Y>
RunFn<A, B, Y> choose() {
  constexpr bool add = std::is_same_v<Op, AddOp>;
  if constexpr (sizeof(A) == 1 && sizeof(B) == 1 && sizeof(Y) == 1) {
    return add ? add_bytes : mul_bytes;
  } else if constexpr (sizeof(A) == 2 && sizeof(B) == 2 && sizeof(Y) == 2) {
    return add ? add_words : mul_words;
  } else {
    return binary_run<Op, A, B, Y>;
  }
}

template <typename Op, typename A, typename B, typename Y>
std::unique_ptr<BoundStep> binary_step(const BroadcastLoop& loop, const BinaryRule& rule,
                                       int threads) {
  const RunFn<A, B, Y> run = choose<Op, A, B, Y>();
  const auto pointers = [](const StepBuffers& buffers) {
    return std::tuple(reinterpret_cast<const A*>(buffers.inputs[0]),
                      reinterpret_cast<const B*>(buffers.inputs[1]),
                      reinterpret_cast<Y*>(buffers.outputs[0]));
  };
  const int64_t rows = loop.rows();
  if (rows == 1) {
    return range_step(
        loop.inner, 3, threads, "own", [=](int64_t begin, int64_t end, const StepBuffers& buffers) {
          const auto [a, b, y] = pointers(buffers);
          const auto [step_a, step_b] = loop.inner_strides;
          run(a + begin * step_a, step_a, b + begin * step_b, step_b, y + begin, end - begin, rule);
        });
  }
  return range_step(rows, 3 * loop.inner, threads, "own",
                    [=](int64_t begin, int64_t end, const StepBuffers& buffers) {
                      const auto [a, b, y] = pointers(buffers);
                      for (int64_t row = begin; row < end; ++row) {
                        const auto [at_a, at_b] = loop.offsets(row);
                        run(a + at_a, loop.inner_strides[0], b + at_b, loop.inner_strides[1],
                            y + row * loop.inner, loop.inner, rule);
                      }
                    });
}

template <typename Op, typename A, typename B>
std::unique_ptr<BoundStep> binary_step(DType y, const BroadcastLoop& loop, const BinaryRule& rule,
                                       int threads) {
  if (is_wide(y)) return binary_step<Op, A, B, int16_t>(loop, rule, threads);
  return binary_step<Op, A, B, uint8_t>(loop, rule, threads);
}

template <typename Op>
std::unique_ptr<BoundStep> binary_step(Descs inputs, const Desc& output, const BinaryRule& rule,
                                       int threads) {
  const BroadcastLoop loop = broadcast_loop(inputs[0], inputs[1], output);
  const bool wide_a = is_wide(inputs[0].dtype);
  const bool wide_b = is_wide(inputs[1].dtype);
  if (wide_a && wide_b) return binary_step<Op, int16_t, int16_t>(output.dtype, loop, rule, threads);
  if (wide_a) return binary_step<Op, int16_t, uint8_t>(output.dtype, loop, rule, threads);
  if (wide_b) return binary_step<Op, uint8_t, int16_t>(output.dtype, loop, rule, threads);
  return binary_step<Op, uint8_t, uint8_t>(output.dtype, loop, rule, threads);
}

absl::StatusOr<std::vector<Desc>> infer_binary(const Step& step, Descs inputs) {
  AttrReader reader(step);
  for (const char* name : {"scale_a", "scale_b", "scale_out"}) reader.scale(name);
  if (count_is(reader, inputs, 2, 2)) {
    is_quantized_tensor(reader, inputs, 0);
    is_quantized_tensor(reader, inputs, 1);
  }
  FXQ_RETURN_IF_ERROR(reader.status());
  const DType dtype = quantized_dtype(reader, inputs[0].dtype);
  output_range(reader, dtype);
  FXQ_RETURN_IF_ERROR(reader.status());
  FXQ_ASSIGN_OR_RETURN(std::vector<int64_t> dims, broadcast_dims(inputs[0].dims, inputs[1].dims));
  return std::vector<Desc>{tensor_desc(dtype, std::move(dims))};
}

BinaryRule rule_of(AttrReader& reader, Descs inputs, const Desc& output) {
  BinaryRule rule;
  rule.range = output_range(reader, output.dtype);
  rule.shift_a = storage_shift(inputs[0].dtype);
  rule.shift_b = storage_shift(inputs[1].dtype);
  rule.shift_out = storage_shift(output.dtype);
  return rule;
}

BinaryRule sum_rule(const Step& step, Descs inputs, const Desc& output) {
  AttrReader reader(step);
  BinaryRule rule = rule_of(reader, inputs, output);
  const double scale_out = reader.scale("scale_out");
  rule.a = static_cast<float>(reader.scale("scale_a") / scale_out);
  rule.b = static_cast<float>(reader.scale("scale_b") / scale_out);
  return rule;
}

absl::StatusOr<std::unique_ptr<BoundStep>> bind_add(const Step& step, Descs inputs, Descs outputs,
                                                    BindContext& context) {
  return binary_step<AddOp>(inputs, outputs[0], sum_rule(step, inputs, outputs[0]),
                            context.threads);
}

absl::StatusOr<std::unique_ptr<BoundStep>> bind_sub(const Step& step, Descs inputs, Descs outputs,
                                                    BindContext& context) {
  BinaryRule rule = sum_rule(step, inputs, outputs[0]);
  rule.b = -rule.b;
  return binary_step<AddOp>(inputs, outputs[0], rule, context.threads);
}

absl::StatusOr<std::unique_ptr<BoundStep>> bind_mul(const Step& step, Descs inputs, Descs outputs,
                                                    BindContext& context) {
  AttrReader reader(step);
  BinaryRule rule = rule_of(reader, inputs, outputs[0]);
  rule.a = static_cast<float>(reader.scale("scale_a") * reader.scale("scale_b") /
                              reader.scale("scale_out"));
  return binary_step<MulOp>(inputs, outputs[0], rule, context.threads);
}

// An operand of the output's own shape and width is read and written at the same place.
Sharing share_binary(const Step&, Descs inputs, Descs outputs) {
  Sharing sharing{Sharing::Kind::kInPlace, {}};
  for (int i : {0, 1}) {
    if (inputs[i].dims == outputs[0].dims &&
        is_wide(inputs[i].dtype) == is_wide(outputs[0].dtype)) {
      sharing.inputs.push_back(i);
    }
  }
  return sharing;
}

}  // namespace

Kernel kernel_Add() { return {infer_binary, bind_add, share_binary}; }
Kernel kernel_Sub() { return {infer_binary, bind_sub, share_binary}; }
Kernel kernel_Mul() { return {infer_binary, bind_mul, share_binary}; }

}  // namespace fxq
