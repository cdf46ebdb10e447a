// UpsampleNearest: y[h, w] = x[source(h), source(w)], integers and scale kept. attrs output_size,
// or scale_factors (output = floor(extent * factor)). As ATen: source(i) = i if sizes agree, i / 2
// if the output is twice the input, else min(floor((float)i * s), extent - 1), with s = (float)(1 /
// factor) or, without factors, (float)extent / outputs.
#include <cmath>
#include <cstring>

#include "fmt/ranges.h"
#include "fxq/base/status.h"
#include "fxq/runtime/kernels/checks.h"
#include "fxq/runtime/kernels/range_step.h"

namespace fxq {
namespace {

using namespace kernels;  // NOLINT(google-build-using-namespace): this file is one of its members

constexpr double kMostPixels = 1 << 30;

struct Resize {
  std::vector<int64_t> sizes;   // of the output's two spatial axes
  std::vector<double> factors;  // empty without scale_factors
};

Resize read_resize(AttrReader& reader, const Desc& input) {
  Resize resize;
  if (input.rank() != 4) {
    reader.complain(fmt::format("input 0 is {}, needs 4 dimensions", input.describe()));
    return resize;
  }
  resize.factors = reader.numbers("scale_factors", std::vector<double>{});
  if (reader.has("output_size")) {
    resize.sizes = reader.integers("output_size");
  } else {
    for (size_t i = 0; i < std::min<size_t>(resize.factors.size(), 2); ++i) {
      const double size = std::floor(static_cast<double>(input.dims[i + 2]) * resize.factors[i]);
      resize.sizes.push_back(size > 0 && size < kMostPixels ? static_cast<int64_t>(size) : 0);
    }
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

std::vector<int64_t> sources(int64_t extent, int64_t outputs, double factor) {
  const float s = factor > 0 ? static_cast<float>(1.0 / factor)
                             : static_cast<float>(extent) / static_cast<float>(outputs);
  std::vector<int64_t> result;
  for (int64_t i = 0; i < outputs; ++i) {
    int64_t source = i;
    if (outputs == 2 * extent) {
      source = i / 2;
    } else if (outputs != extent) {
      source = static_cast<int64_t>(std::floor(static_cast<float>(i) * s));
    }
    result.push_back(std::min(source, extent - 1));
  }
  return result;
}

absl::StatusOr<std::vector<Desc>> infer_upsample(const Step& step, Descs inputs) {
  AttrReader reader(step);
  if (!count_is(reader, inputs, 1, 1) || !is_quantized_tensor(reader, inputs, 0)) {
    return reader.status();
  }
  const Resize resize = read_resize(reader, inputs[0]);
  FXQ_RETURN_IF_ERROR(reader.status());
  const std::vector<int64_t>& dims = inputs[0].dims;
  return std::vector<Desc>{
      tensor_desc(inputs[0].dtype, {dims[0], dims[1], resize.sizes[0], resize.sizes[1]})};
}

absl::StatusOr<std::unique_ptr<BoundStep>> bind_upsample(const Step& step, Descs inputs,
                                                         Descs outputs, BindContext& context) {
  AttrReader reader(step);
  const Resize resize = read_resize(reader, inputs[0]);
  const std::vector<int64_t>& dims = inputs[0].dims;
  const bool scaled = !resize.factors.empty();
  const std::vector<int64_t> rows =
      sources(dims[2], resize.sizes[0], scaled ? resize.factors[0] : 0);
  const std::vector<int64_t> columns =
      sources(dims[3], resize.sizes[1], scaled ? resize.factors[1] : 0);
  const int64_t pixel = dims[1] * static_cast<int64_t>(dtype_size(inputs[0].dtype));
  const int64_t extent_h = dims[2];
  const int64_t extent_w = dims[3];
  const int64_t row_bytes = resize.sizes[1] * pixel;
  return range_step(outputs[0].dims[0] * resize.sizes[0], 2 * row_bytes, context.threads, "own",
                    [=](int64_t begin, int64_t end, const StepBuffers& buffers) {
                      const auto outputs_h = static_cast<int64_t>(rows.size());
                      for (int64_t item = begin; item < end; ++item) {
                        const int64_t image = item / outputs_h;
                        const int64_t source = image * extent_h + rows[item % outputs_h];
                        const std::byte* x = buffers.inputs[0] + source * extent_w * pixel;
                        std::byte* y = buffers.outputs[0] + item * row_bytes;
                        for (int64_t column : columns) {
                          std::memcpy(y, x + column * pixel, static_cast<size_t>(pixel));
                          y += pixel;
                        }
                      }
                    });
}

}  // namespace

Kernel kernel_UpsampleNearest() { return {infer_upsample, bind_upsample}; }

}  // namespace fxq
