// y = sat(rint(|fmaf(-ratio_b, b, a * ratio_a)|))   on u8, i8 and i16, any mixture
// attrs ratio_a = (float)(s_a / s_y), ratio_b, dtype. Must equal the reference bit for bit.
#include <cmath>

#include "absdiff.h"
#include "fxq/base/status.h"
#include "fxq/runtime/kernels/checks.h"
#include "fxq/runtime/kernels/range_step.h"

namespace {

using fxq::Desc;
using fxq::Descs;
using fxq::Step;

// Programs come from files: whatever bind relies on is checked here.
absl::StatusOr<std::vector<Desc>> infer(const Step& step, Descs inputs) {
  fxq::AttrReader reader(step);
  reader.scale("ratio_a");
  reader.scale("ratio_b");
  const fxq::DType dtype = fxq::kernels::quantized_dtype(reader, std::nullopt);
  if (fxq::kernels::count_is(reader, inputs, 2, 2)) {
    fxq::kernels::is_quantized_tensor(reader, inputs, 0);
    fxq::kernels::is_quantized_tensor(reader, inputs, 1);
    if (inputs[0].dims != inputs[1].dims) reader.complain("its inputs differ in shape");
  }
  FXQ_RETURN_IF_ERROR(reader.status());
  return std::vector<Desc>{fxq::tensor_desc(dtype, inputs[0].dims)};
}

// Elements as they lie in storage: i8 is stored as u8 with value + 128.
struct Elements {
  bool wide = false;
  int shift = 0;

  explicit Elements(fxq::DType dtype)
      : wide(fxq::kernels::is_wide(dtype)), shift(fxq::storage_shift(dtype)) {}

  float read(const std::byte* bytes, int64_t i) const {
    if (wide) return static_cast<float>(reinterpret_cast<const int16_t*>(bytes)[i]);
    return static_cast<float>(static_cast<int>(bytes[i]) - shift);
  }
  void write(std::byte* bytes, int64_t i, int value) const {
    if (wide) {
      reinterpret_cast<int16_t*>(bytes)[i] = static_cast<int16_t>(value);
    } else {
      bytes[i] = static_cast<std::byte>(value + shift);
    }
  }
};

absl::StatusOr<std::unique_ptr<fxq::BoundStep>> bind(const Step& step, Descs inputs, Descs outputs,
                                                     fxq::BindContext& context) {
  fxq::AttrReader reader(step);
  const auto ratio_a = static_cast<float>(reader.number("ratio_a"));
  const auto ratio_b = static_cast<float>(reader.number("ratio_b"));
  const auto range = fxq::kernels::integer_range(outputs[0].dtype);
  const fxq::kernels::OutputRange bounds{static_cast<float>(range.low),
                                         static_cast<float>(range.high)};
  const Elements of_a(inputs[0].dtype), of_b(inputs[1].dtype), of_y(outputs[0].dtype);
  const auto run = [=](int64_t begin, int64_t end, const fxq::StepBuffers& buffers) {
    for (int64_t i = begin; i < end; ++i) {
      const float left = of_a.read(buffers.inputs[0], i) * ratio_a;
      const float p = std::fabs(std::fmaf(-ratio_b, of_b.read(buffers.inputs[1], i), left));
      of_y.write(buffers.outputs[0], i, fxq::kernels::round_to(p, bounds));
    }
  };
  return fxq::kernels::range_step(fxq::numel(outputs[0].dims), 3, context.threads, "demo", run);
}

}  // namespace

fxq::Kernel absdiff_kernel() {
  fxq::Kernel kernel;
  kernel.infer = infer;
  kernel.bind = bind;
  return kernel;
}
