// The text inside a .npy header: the Python literal
//   {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
// as three values. Pure; the caller owns the text. Used by npy.cc only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace fxq {

struct NpyDict {
  std::string descr;  // "<f4"; the whole list "[('a', '<f4')]" of a structured type
  bool fortran_order = false;
  std::vector<int64_t> shape;
};

// Any order of keys, either quote, trailing commas, Python 2's 3L. DataLoss says what was expected
// and at which byte of the text.
absl::StatusOr<NpyDict> parse_npy_dict(std::string_view text);

}  // namespace fxq
