// Table lookup: y[i] = table[x[i]], the fastest way to any unary function of 8-bit data. Tables are
// in storage form: indexed by the stored byte (u8, or i8 + 128; for i16 by value + 32768), with
// stored entries.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "fxq/base/host_tensor.h"

namespace fxq::kernels {

using ByteTable = std::array<uint8_t, 256>;

// In place (y == x) is fine.
void look_up(const ByteTable& table, const uint8_t* x, uint8_t* y, int64_t count);

// `rows` runs of `count` bytes, strides in bytes: the table is loaded once for all.
struct Rows {
  int64_t rows = 1;
  int64_t count = 0;
  int64_t x_stride = 0;
  int64_t y_stride = 0;
};
void look_up_rows(const ByteTable& table, const Rows& rows, const uint8_t* x, uint8_t* y);

// sat(rint((float)q * (float)(scale_in / scale_out))) of every stored byte q.
ByteTable requantize_table(DType from, double scale_in, DType to, double scale_out);

// The name of the code that look_up runs on this machine.
const char* look_up_implementation();

}  // namespace fxq::kernels
