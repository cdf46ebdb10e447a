// Sliding, output position i: taps begin at i * stride - padding.
//   outputs = floor((extent + 2 padding - dilation (kernel - 1) - 1 + (ceil ? stride - 1 : 0)) /
//   stride) + 1, one less if the last one would begin beyond the input and its left padding.
// Adaptive: [floor(i * extent / outputs), ceil((i + 1) * extent / outputs)).
#include "fxq/runtime/kernels/windows.h"

#include <algorithm>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "fxq/runtime/kernels/checks.h"

namespace fxq::kernels {
namespace {

constexpr int64_t kMostTaps = 1 << 20;

struct Sliding {
  int64_t kernel = 1;
  int64_t stride = 1;
  int64_t padding = 0;
  int64_t dilation = 1;
};

int64_t output_count(const Sliding& s, int64_t extent, bool ceil_mode) {
  const int64_t span = extent + 2 * s.padding - s.dilation * (s.kernel - 1) - 1;
  if (span < 0 && !ceil_mode) return 0;
  const int64_t reach = span + (ceil_mode ? s.stride - 1 : 0);
  if (reach < 0) return 0;
  int64_t count = reach / s.stride + 1;
  if (ceil_mode && (count - 1) * s.stride >= extent + s.padding) --count;
  return count;
}

WindowAxis slide(const Sliding& s, int64_t extent, bool ceil_mode) {
  WindowAxis result;
  result.extent = extent;
  result.dilation = s.dilation;
  const int64_t count = output_count(s, extent, ceil_mode);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t start = i * s.stride - s.padding;
    Window window;
    window.padded = std::min(start + s.kernel, extent + s.padding) - start;
    const int64_t skipped = start < 0 ? (-start + s.dilation - 1) / s.dilation : 0;
    window.begin = start + skipped * s.dilation;
    const int64_t inside = window.begin < extent ? (extent - window.begin - 1) / s.dilation + 1 : 0;
    window.taps = std::max<int64_t>(0, std::min(s.kernel - skipped, inside));
    result.windows.push_back(window);
  }
  return result;
}

WindowAxis adapt(int64_t outputs, int64_t extent) {
  WindowAxis result;
  result.extent = extent;
  for (int64_t i = 0; i < outputs; ++i) {
    const int64_t begin = i * extent / outputs;
    const int64_t end = ((i + 1) * extent + outputs - 1) / outputs;
    result.windows.push_back({begin, end - begin, end - begin});
  }
  return result;
}

bool spatial(AttrReader& reader, const Desc& input, Windows& windows) {
  if (input.rank() != 3 && input.rank() != 4) {
    reader.complain(fmt::format("input 0 is {}, needs 3 or 4 dimensions", input.describe()));
    return false;
  }
  windows.images = input.dims[0];
  windows.channels = input.dims[1];
  return true;
}

// One number serves all axes.
std::vector<int64_t> per_axis(AttrReader& reader, std::string_view name, size_t axes,
                              std::vector<int64_t> values, int64_t least, int64_t most) {
  if (values.size() == 1) values.resize(axes, values[0]);
  const bool in_range =
      std::all_of(values.begin(), values.end(), [&](int64_t v) { return v >= least && v <= most; });
  if (values.size() != axes || !in_range) {
    reader.complain(fmt::format("{} = [{}] must be {} numbers in [{}, {}]", name,
                                fmt::join(values, ","), axes, least, most));
    values.assign(axes, std::max<int64_t>(least, 0));
  }
  return values;
}

}  // namespace

std::vector<int64_t> Windows::output_dims(const Desc& input) const {
  std::vector<int64_t> dims = {images, channels};
  if (input.rank() == 4) dims.push_back(static_cast<int64_t>(rows.windows.size()));
  dims.push_back(static_cast<int64_t>(columns.windows.size()));
  return dims;
}

Windows sliding_windows(AttrReader& reader, const Desc& input) {
  Windows windows;
  if (!spatial(reader, input, windows)) return windows;
  const auto axes = static_cast<size_t>(input.rank() - 2);
  const auto read = [&](const char* name, std::vector<int64_t> otherwise, int64_t least) {
    return per_axis(reader, name, axes, reader.integers(name, std::move(otherwise)), least,
                    kMostTaps);
  };
  const std::vector<int64_t> kernel = read("kernel_size", {}, 1);
  std::vector<int64_t> stride = reader.integers("stride", std::vector<int64_t>{});
  stride = per_axis(reader, "stride", axes, stride.empty() ? kernel : stride, 1, kMostTaps);
  const std::vector<int64_t> padding = read("padding", {0}, 0);
  const std::vector<int64_t> dilation = read("dilation", {1}, 1);
  const bool ceil_mode = reader.boolean("ceil_mode", false);
  for (size_t i = 0; i < axes; ++i) {
    if (2 * padding[i] > kernel[i]) {
      reader.complain(
          fmt::format("padding {} is more than half of kernel_size {}", padding[i], kernel[i]));
    }
    WindowAxis& axis = i + 1 == axes ? windows.columns : windows.rows;
    axis = slide({kernel[i], stride[i], padding[i], dilation[i]}, input.dims[i + 2], ceil_mode);
    if (axis.windows.empty()) {
      reader.complain(fmt::format("an extent of {} is too small for kernel_size {}",
                                  input.dims[i + 2], kernel[i]));
    }
  }
  if (axes == 1) windows.rows.windows = {{0, 1, 1}};
  return windows;
}

Windows adaptive_windows(AttrReader& reader, const Desc& input) {
  Windows windows;
  if (!spatial(reader, input, windows)) return windows;
  const auto axes = static_cast<size_t>(input.rank() - 2);
  const std::vector<int64_t> sizes =
      per_axis(reader, "output_size", axes, reader.integers("output_size"), -1, kMostTaps);
  for (size_t i = 0; i < axes; ++i) {
    const int64_t extent = input.dims[i + 2];
    if (extent == 0) reader.complain("cannot average over an empty input");
    WindowAxis& axis = i + 1 == axes ? windows.columns : windows.rows;
    axis = adapt(sizes[i] < 0 ? extent : sizes[i], extent);
  }
  if (axes == 1) windows.rows.windows = {{0, 1, 1}};
  return windows;
}

}  // namespace fxq::kernels
