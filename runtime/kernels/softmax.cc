// Softmax over attr dim, f32: m = max x_i; e_i = (float)exp((double)(x_i - m)); the sum is taken in
// double, in order; y_i = (float)(e_i / sum).
#include <cmath>

#include "fxq/base/status.h"
#include "fxq/runtime/kernels/checks.h"
#include "fxq/runtime/kernels/range_step.h"

namespace fxq {
namespace {

using namespace kernels;  // NOLINT(google-build-using-namespace): this file is one of its members

absl::StatusOr<std::vector<Desc>> infer_softmax(const Step& step, Descs inputs) {
  AttrReader reader(step);
  if (!count_is(reader, inputs, 1, 1) || !is_tensor(reader, inputs, 0)) return reader.status();
  if (inputs[0].dtype != DType::kF32) {
    reader.complain(fmt::format("input 0 is {}, needs f32", inputs[0].describe()));
  }
  axis(reader, reader.integer("dim"), std::max<int64_t>(inputs[0].rank(), 1), "dim");
  FXQ_RETURN_IF_ERROR(reader.status());
  return std::vector<Desc>{tensor_desc(DType::kF32, inputs[0].dims)};
}

void softmax_row(const float* x, float* y, int64_t count, int64_t stride) {
  float most = x[0];
  for (int64_t i = 1; i < count; ++i) most = std::max(most, x[i * stride]);
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    const auto e = static_cast<float>(std::exp(static_cast<double>(x[i * stride] - most)));
    y[i * stride] = e;
    sum += e;
  }
  for (int64_t i = 0; i < count; ++i) y[i * stride] = static_cast<float>(y[i * stride] / sum);
}

absl::StatusOr<std::unique_ptr<BoundStep>> bind_softmax(const Step& step, Descs inputs, Descs,
                                                        BindContext& context) {
  AttrReader reader(step);
  const std::vector<int64_t>& dims = inputs[0].dims;
  const int64_t dim =
      axis(reader, reader.integer("dim"), std::max<int64_t>(inputs[0].rank(), 1), "dim");
  const int64_t count = dims.empty() ? 1 : dims[dim];
  const int64_t stride = dims.empty() ? 1 : numel(absl::MakeConstSpan(dims).subspan(dim + 1));
  constexpr int64_t kCost = 64;  // an exponential takes as long as moving so many bytes
  return range_step(numel(dims) / count, kCost * count, context.threads, "own",
                    [count, stride](int64_t begin, int64_t end, const StepBuffers& buffers) {
                      const auto* x = reinterpret_cast<const float*>(buffers.inputs[0]);
                      auto* y = reinterpret_cast<float*>(buffers.outputs[0]);
                      for (int64_t row = begin; row < end; ++row) {
                        const int64_t at = row / stride * count * stride + row % stride;
                        softmax_row(x + at, y + at, count, stride);
                      }
                    });
}

Sharing share_softmax(const Step&, Descs, Descs) { return {Sharing::Kind::kInPlace, {0}}; }

}  // namespace

Kernel kernel_Softmax() { return {infer_softmax, bind_softmax, share_softmax}; }

}  // namespace fxq
