// One output pixel further is 1 / factor input pixels further if factors were given, else in / out.
#include "fxq/runtime/kernels/resize.h"

#include <cmath>

#include "fmt/ranges.h"
#include "fxq/base/status.h"
#include "fxq/runtime/kernels/checks.h"

namespace fxq::kernels {
namespace {

constexpr double kMostPixels = 1 << 30;

std::vector<int64_t> scaled_sizes(const Desc& input, const std::vector<double>& factors) {
  std::vector<int64_t> sizes;
  for (size_t i = 0; i < std::min<size_t>(factors.size(), 2); ++i) {
    const double size = std::floor(static_cast<double>(input.dims[i + 2]) * factors[i]);
    sizes.push_back(size > 0 && size < kMostPixels ? static_cast<int64_t>(size) : 0);
  }
  return sizes;
}

}  // namespace

float Resize::step(int axis, int64_t extent) const {
  if (!factors.empty()) return static_cast<float>(1.0 / factors[axis]);
  return static_cast<float>(extent) / static_cast<float>(sizes[axis]);
}

Resize read_resize(AttrReader& reader, Descs inputs) {
  Resize resize;
  const Desc& input = inputs[0];
  if (input.rank() != 4) {
    reader.complain(fmt::format("input 0 is {}, needs 4 dimensions", input.describe()));
    return resize;
  }
  resize.factors = reader.numbers("scale_factors", std::vector<double>{});
  if (inputs.size() > 1 && inputs[1].kind == ValueKind::kInts) {
    resize.sizes = std::get<std::vector<int64_t>>(inputs[1].scalar);
  } else if (inputs.size() > 1) {
    reader.complain(fmt::format("input 1 is {}, needs a list of ints", inputs[1].describe()));
  } else if (reader.has("output_size")) {
    resize.sizes = reader.integers("output_size");
  } else {
    resize.sizes = scaled_sizes(input, resize.factors);
  }
  const bool positive = std::all_of(resize.sizes.begin(), resize.sizes.end(),
                                    [](int64_t size) { return size > 0 && size < kMostPixels; });
  if (resize.sizes.size() != 2 || !positive || input.dims[2] == 0 || input.dims[3] == 0 ||
      (!resize.factors.empty() && resize.factors.size() != 2)) {
    reader.complain(fmt::format("needs output_size or scale_factors, two positive numbers, for {}",
                                input.describe()));
  }
  return resize;
}

absl::StatusOr<std::vector<Desc>> infer_resize(const Step& step, Descs inputs) {
  AttrReader reader(step);
  if (!count_is(reader, inputs, 1, 2) || !is_quantized_tensor(reader, inputs, 0)) {
    return reader.status();
  }
  const Resize resize = read_resize(reader, inputs);
  FXQ_RETURN_IF_ERROR(reader.status());
  const std::vector<int64_t>& dims = inputs[0].dims;
  return std::vector<Desc>{
      tensor_desc(inputs[0].dtype, {dims[0], dims[1], resize.sizes[0], resize.sizes[1]})};
}

}  // namespace fxq::kernels
