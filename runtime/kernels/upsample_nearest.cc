// UpsampleNearest: y[h, w] = x[source(h), source(w)], integers and scale kept; sizes: resize.h. As
// ATen: source(i) = i if sizes agree, i / 2 if the output is twice the input, else
// min(floor((float)i
// * step), extent - 1).
#include <cmath>
#include <cstring>

#include "fxq/runtime/kernels/range_step.h"
#include "fxq/runtime/kernels/resize.h"

namespace fxq {
namespace {

using namespace kernels;  // NOLINT(google-build-using-namespace): this file is one of its members

std::vector<int64_t> sources(const Resize& resize, int axis, int64_t extent) {
  const int64_t outputs = resize.sizes[axis];
  const float s = resize.step(axis, extent);
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

absl::StatusOr<std::unique_ptr<BoundStep>> bind_upsample(const Step& step, Descs inputs,
                                                         Descs outputs, BindContext& context) {
  AttrReader reader(step);
  const Resize resize = read_resize(reader, inputs);
  const std::vector<int64_t>& dims = inputs[0].dims;
  const std::vector<int64_t> rows = sources(resize, 0, dims[2]);
  const std::vector<int64_t> columns = sources(resize, 1, dims[3]);
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

Kernel kernel_UpsampleNearest() { return {infer_resize, bind_upsample}; }

}  // namespace fxq
