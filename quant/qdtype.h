// Quantized dtypes: their names on the API page ("qint8"), ranges and scales. All are symmetric
// with zero point 0; quint8 is for values that are never negative.
#pragma once

#include <optional>
#include <string_view>

#include "fxq/base/dtype.h"

namespace fxq {

struct QRange {
  int min = -128;
  int max = 127;
  // The real value of one step is range / half_width(): 127.5 for [-128, 127], 255 for [0, 255].
  float half_width() const;
  friend bool operator==(const QRange& a, const QRange& b) {
    return a.min == b.min && a.max == b.max;
  }
};

QRange range_of(DType dtype);  // of kI8, kU8, kI16
bool is_quantized_dtype(DType dtype);
std::string_view qdtype_name(DType dtype);                     // kI8 -> "qint8"
std::optional<DType> qdtype_from_name(std::string_view name);  // "quint8" -> kU8

// max |x| / half_width, at least float32's epsilon; in float32.
float symmetric_scale(float max_abs, QRange range);

}  // namespace fxq
