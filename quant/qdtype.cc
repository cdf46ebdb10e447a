// symmetric: scale = max(max|x| / half the range's width, epsilon), zero point 0.
#include "fxq/quant/qdtype.h"

#include <algorithm>
#include <array>
#include <limits>

namespace fxq {
namespace {

struct Row {
  DType dtype;
  std::string_view name;
  QRange range;
};

constexpr std::array<Row, 3> kRows = {{
    {DType::kI8, "qint8", {-128, 127}},
    {DType::kU8, "quint8", {0, 255}},
    {DType::kI16, "qint16", {-32768, 32767}},
}};

const Row& row_of(DType dtype) {
  for (const Row& row : kRows) {
    if (row.dtype == dtype) return row;
  }
  return kRows[0];
}

}  // namespace

float QRange::half_width() const {
  return min >= 0 ? static_cast<float>(max) : static_cast<float>(max - min) / 2;
}

QRange range_of(DType dtype) { return row_of(dtype).range; }

bool is_quantized_dtype(DType dtype) { return row_of(dtype).dtype == dtype; }

std::string_view qdtype_name(DType dtype) { return row_of(dtype).name; }

std::optional<DType> qdtype_from_name(std::string_view name) {
  for (const Row& row : kRows) {
    if (row.name == name) return row.dtype;
  }
  return std::nullopt;
}

float symmetric_scale(float max_abs, QRange range) {
  return std::max(max_abs / range.half_width(), std::numeric_limits<float>::epsilon());
}

}  // namespace fxq
