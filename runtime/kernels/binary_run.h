// One run of Add, Sub or Mul (binary.cc): the formula, as a plain loop and for bytes in vector
// code.
#pragma once

#include <cmath>
#include <cstdint>

#include "fxq/base/vectorize.h"
#include "fxq/runtime/kernels/checks.h"

namespace fxq::kernels {

struct BinaryRule {
  float a = 1;  // multiplier of operand a, or of the product
  float b = 1;
  OutputRange range;
  int shift_a = 0;
  int shift_b = 0;
  int shift_out = 0;
};

// Sub is Add with -b.
struct AddOp {
  static float apply(float a, float b, const BinaryRule& rule) {
    return std::fma(rule.b, b, a * rule.a);
  }
};

struct MulOp {
  static float apply(float a, float b, const BinaryRule& rule) { return (a * b) * rule.a; }
};

template <typename Op, typename A, typename B, typename Y>
FXQ_INLINE void binary_run(const A* a, int64_t step_a, const B* b, int64_t step_b, Y* y,
                           int64_t count, BinaryRule rule) {
  FXQ_IVDEP
  for (int64_t i = 0; i < count; ++i) {
    const auto x = static_cast<float>(static_cast<int>(a[i * step_a]) - rule.shift_a);
    const auto z = static_cast<float>(static_cast<int>(b[i * step_b]) - rule.shift_b);
    y[i] = static_cast<Y>(round_to(Op::apply(x, z, rule), rule.range) + rule.shift_out);
  }
}

// The loop knows the strides that matter, so that it becomes vector code.
template <typename Op, typename A, typename B, typename Y>
FXQ_INLINE void binary_any(const A* a, int64_t step_a, const B* b, int64_t step_b, Y* y,
                           int64_t count, BinaryRule rule) {
  if (step_a == 1 && step_b == 1) return binary_run<Op>(a, 1, b, 1, y, count, rule);
  if (step_a == 1 && step_b == 0) return binary_run<Op>(a, 1, b, 0, y, count, rule);
  if (step_a == 0 && step_b == 1) return binary_run<Op>(a, 0, b, 1, y, count, rule);
  binary_run<Op>(a, step_a, b, step_b, y, count, rule);
}

// y[i] = op(a[i * step_a], b[i * step_b]) in storage form; y may be an operand whose step is 1.
void add_bytes(const uint8_t* a, int64_t step_a, const uint8_t* b, int64_t step_b, uint8_t* y,
               int64_t count, BinaryRule rule);
void mul_bytes(const uint8_t* a, int64_t step_a, const uint8_t* b, int64_t step_b, uint8_t* y,
               int64_t count, BinaryRule rule);

}  // namespace fxq::kernels
