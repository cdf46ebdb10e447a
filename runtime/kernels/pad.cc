// Pad: x surrounded by a constant, any number of axes; negative amounts crop. attrs pad = [left and
// right of the last axis, then of the one before, ...] as in ATen; value: an int in units of the
// scale for quantized tensors, a float for f32. First all is filled, then x is copied in.
#include "fmt/ranges.h"
#include "fxq/base/status.h"
#include "fxq/runtime/kernels/checks.h"
#include "fxq/runtime/kernels/move.h"

namespace fxq {
namespace {

using namespace kernels;  // NOLINT(google-build-using-namespace): this file is one of its members

constexpr int64_t kMostPadding = int64_t{1} << 30;

std::vector<int64_t> padded_dims(AttrReader& reader, const Desc& input) {
  const std::vector<int64_t> pad = reader.integers("pad");
  std::vector<int64_t> dims = input.dims;
  if (pad.size() % 2 != 0 || pad.size() / 2 > dims.size()) {
    reader.complain(
        fmt::format("pad = [{}] does not fit {} dimensions", fmt::join(pad, ","), dims.size()));
    return dims;
  }
  for (size_t i = 0; i < pad.size(); ++i) {
    int64_t& extent = dims[dims.size() - 1 - i / 2];
    if (pad[i] > kMostPadding || pad[i] < -extent) {
      reader.complain(
          fmt::format("pad = [{}] is out of range for {}", fmt::join(pad, ","), input.describe()));
      return dims;
    }
    extent += pad[i];
  }
  return dims;
}

bool is_float(DType dtype) { return dtype == DType::kF32; }

absl::StatusOr<std::vector<Desc>> infer_pad(const Step& step, Descs inputs) {
  AttrReader reader(step);
  if (!count_is(reader, inputs, 1, 1) || !is_tensor(reader, inputs, 0)) return reader.status();
  const DType dtype = inputs[0].dtype;
  std::vector<int64_t> dims = padded_dims(reader, inputs[0]);
  if (is_float(dtype)) {
    reader.number("value", 0.0);
  } else if (is_quantized_tensor(reader, inputs, 0)) {
    const int64_t value = reader.integer("value", 0);
    const IntegerRange range = integer_range(dtype);
    if (value < range.low || value > range.high) {
      reader.complain(fmt::format("value {} is no {}", value, dtype_name(dtype)));
    }
  }
  FXQ_RETURN_IF_ERROR(reader.status());
  return std::vector<Desc>{tensor_desc(dtype, std::move(dims))};
}

// A value of any element size that fills memory.
struct Filler {
  DType dtype = DType::kU8;
  float real = 0;
  int integer = 0;

  void fill(std::byte* y, int64_t begin, int64_t end) const {
    if (is_float(dtype)) {
      std::fill(reinterpret_cast<float*>(y) + begin, reinterpret_cast<float*>(y) + end, real);
    } else if (is_wide(dtype)) {
      std::fill(reinterpret_cast<int16_t*>(y) + begin, reinterpret_cast<int16_t*>(y) + end,
                static_cast<int16_t>(integer));
    } else {
      std::fill(y + begin, y + end, static_cast<std::byte>(integer + storage_shift(dtype)));
    }
  }
};

class PadStep final : public BoundStep {
 public:
  PadStep(StridedMove move, Filler filler, int64_t count)
      : move_(std::move(move)), filler_(filler), count_(count) {}

  int phases() const override { return 2; }
  int slices(int phase) const override {
    return static_cast<int>(std::min<int64_t>(kPieces, items(phase)));
  }
  absl::Status run_slice(int phase, int slice, const StepBuffers& buffers) const override {
    const int64_t begin = items(phase) * slice / slices(phase);
    const int64_t end = items(phase) * (slice + 1) / slices(phase);
    if (phase == 0) {
      filler_.fill(buffers.outputs[0], begin, end);
    } else if (move_.elements() > 0) {
      move_.copy_rows(begin, end, buffers.inputs[0], buffers.outputs[0]);
    }
    return absl::OkStatus();
  }

 private:
  static constexpr int64_t kPieces = 4;
  int64_t items(int phase) const { return phase == 0 ? count_ : move_.rows(); }

  StridedMove move_;
  Filler filler_;
  int64_t count_;
};

// The part of x that stays, and where it begins in x and in y.
StridedMove inner_move(const std::vector<int64_t>& pad, const Desc& input, const Desc& output) {
  const std::vector<int64_t> from = stored_strides(input.dtype, input.dims);
  const std::vector<int64_t> to = stored_strides(output.dtype, output.dims);
  std::vector<int64_t> extents = input.dims;
  int64_t from_offset = 0;
  int64_t to_offset = 0;
  for (size_t i = 0; i < pad.size(); ++i) {
    const size_t dim = extents.size() - 1 - i / 2;
    extents[dim] += std::min<int64_t>(pad[i], 0);
    if (i % 2 != 0) continue;
    if (pad[i] < 0) from_offset -= pad[i] * from[dim];
    if (pad[i] > 0) to_offset += pad[i] * to[dim];
  }
  for (int64_t& extent : extents) extent = std::max<int64_t>(extent, 0);
  StridedMove move = strided_move(input.dtype, extents, from, to);
  move.from_offset = from_offset;
  move.to_offset = to_offset;
  return move;
}

absl::StatusOr<std::unique_ptr<BoundStep>> bind_pad(const Step& step, Descs inputs, Descs outputs,
                                                    BindContext&) {
  AttrReader reader(step);
  Filler filler;
  filler.dtype = inputs[0].dtype;
  if (is_float(filler.dtype)) {
    filler.real = static_cast<float>(reader.number("value", 0.0));
  } else {
    filler.integer = static_cast<int>(reader.integer("value", 0));
  }
  return std::make_unique<PadStep>(inner_move(reader.integers("pad"), inputs[0], outputs[0]),
                                   filler, numel(outputs[0].dims));
}

}  // namespace

Kernel kernel_Pad() { return {infer_pad, bind_pad}; }

}  // namespace fxq
