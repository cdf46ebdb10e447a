// Planes of bytes into pixels: the last step of quantizing a picture of three channels.
#pragma once

#include <cstdint>

namespace fxq {

// to[3 * i + c] = planes[c][i] for i in [0, count). `to` overlaps no plane.
void interleave_three(const uint8_t* const planes[3], int64_t count, uint8_t* to);

}  // namespace fxq
