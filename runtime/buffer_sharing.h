// BufferSharing: which values of a program share one buffer, because a step passes its input on
// unchanged (reshape) or overwrites it (add into its first operand). Computed once per signature.
// It promises that no buffer is overwritten while a value in it is still to be read, and that
// program inputs and constants are never overwritten.
#pragma once

#include <vector>

#include "absl/types/span.h"
#include "fxq/runtime/kernel.h"
#include "fxq/runtime/program.h"
#include "fxq/runtime/shape_inference.h"

namespace fxq {

inline constexpr int kForever = 1 << 30;

struct BufferSharing {
  std::vector<int> buffer;  // value -> buffer; -1 for registers
  std::vector<int> first,
      last;                    // buffer -> step that writes it first (-1: before all), last reader
  std::vector<bool> external;  // buffer -> holds a program input or a constant
  std::vector<bool> skipped;   // step -> need not run: registers, aliases, our empty outputs
  std::vector<int> shared_input;  // step -> input that it overwrites, or -1
};

// Of the steps that `inference` reaches; a value that a later one reads keeps its buffer.
BufferSharing share_buffers(const Program& program, const ResolvedKernels& kernels,
                            const Inference& inference);

}  // namespace fxq
