// What one core can do in int8 at most, measured on the spot. A multiply-add counts as 2
// operations.
#pragma once

namespace fxq {

double vnni_gops();  // 512-bit vpdpbusd; 0 if the machine has none
double amx_gops();   // 8-bit tiles; 0 if the machine has none

}  // namespace fxq
