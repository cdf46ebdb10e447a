// Cat: the inputs one after the other along attr dim. Quantized inputs are brought to the output's
// scale on the way, attrs scales (one per input), scale_out, dtype: copied where nothing changes,
// through a 256-byte table or sat(rint((float)q * m)) where it does. Other types: dim only.
#include <cstring>

#include "fmt/ranges.h"
#include "fxq/base/status.h"
#include "fxq/runtime/kernels/checks.h"
#include "fxq/runtime/kernels/lookup.h"
#include "fxq/runtime/kernels/move.h"
#include "fxq/runtime/kernels/range_step.h"

namespace fxq {
namespace {

using namespace kernels;  // NOLINT(google-build-using-namespace): this file is one of its members

void check_scales(AttrReader& reader, size_t inputs) {
  reader.scale("scale_out");
  const std::vector<double> scales = reader.numbers("scales");
  const bool positive =
      std::all_of(scales.begin(), scales.end(), [](double s) { return s > 0 && std::isfinite(s); });
  if (scales.size() != inputs || !positive) {
    reader.complain(
        fmt::format("scales [{}] are not {} positive numbers", fmt::join(scales, ", "), inputs));
  }
}

// Dims of `next` must be those of `first` but along `dim`.
bool joins(const Desc& first, const Desc& next, int64_t dim) {
  if (first.dims.size() != next.dims.size()) return false;
  for (int64_t i = 0; i < first.rank(); ++i) {
    if (i != dim && first.dims[i] != next.dims[i]) return false;
  }
  return is_quantized(first.dtype) ? is_quantized(next.dtype) : first.dtype == next.dtype;
}

absl::StatusOr<std::vector<Desc>> infer_cat(const Step& step, Descs inputs) {
  AttrReader reader(step);
  if (inputs.empty()) reader.complain("has no inputs");
  for (size_t i = 0; i < inputs.size(); ++i) is_tensor(reader, inputs, i);
  FXQ_RETURN_IF_ERROR(reader.status());
  Desc output = tensor_desc(inputs[0].dtype, inputs[0].dims);
  const int64_t dim = axis(reader, reader.integer("dim", 0), output.rank(), "dim");
  FXQ_RETURN_IF_ERROR(reader.status());
  for (const Desc& input : inputs.subspan(1)) {
    if (!joins(inputs[0], input, dim)) {
      reader.complain(fmt::format("{} and {} cannot be joined along axis {}", inputs[0].describe(),
                                  input.describe(), dim));
      continue;
    }
    output.dims[dim] += input.dims[dim];
  }
  if (is_quantized(output.dtype)) {
    check_scales(reader, inputs.size());
    output.dtype = quantized_dtype(reader, output.dtype);
  }
  FXQ_RETURN_IF_ERROR(reader.status());
  return std::vector<Desc>{std::move(output)};
}

// One input's way into the output; runs are dense on both sides.
struct Source {
  size_t input = 0;
  StridedMove move;
  enum class Kind : uint8_t { kCopy, kTable, kRescale } kind = Kind::kCopy;
  ByteTable table;
  float m = 1;
  DType from = DType::kU8;
};

template <typename X, typename Y>
void rescale(const std::byte* from, std::byte* to, int64_t count, float m, DType from_type,
             DType to_type) {
  const auto* x = reinterpret_cast<const X*>(from);
  auto* y = reinterpret_cast<Y*>(to);
  const IntegerRange range = integer_range(to_type);
  for (int64_t i = 0; i < count; ++i) {
    const float p = static_cast<float>(x[i] - storage_shift(from_type)) * m;
    const int q = round_to(p, {static_cast<float>(range.low), static_cast<float>(range.high)});
    y[i] = static_cast<Y>(q + storage_shift(to_type));
  }
}

void rescale_run(const Source& source, DType to_type, const std::byte* from, std::byte* to) {
  const int64_t count = source.move.run();
  if (is_wide(source.from) && is_wide(to_type)) {
    rescale<int16_t, int16_t>(from, to, count, source.m, source.from, to_type);
  } else if (is_wide(source.from)) {
    rescale<int16_t, uint8_t>(from, to, count, source.m, source.from, to_type);
  } else {
    rescale<uint8_t, int16_t>(from, to, count, source.m, source.from, to_type);
  }
}

constexpr int64_t kBlockBytes =
    8 * 1024;  // of the output: stays in L1 while all inputs write to it

// Slices are ranges of rows, a row being one run of every input. A block of rows takes one input
// after the other: its table stays in registers meanwhile.
class CatStep final : public BoundStep {
 public:
  CatStep(std::vector<Source> sources, DType to_type, int threads)
      : sources_(std::move(sources)), to_type_(to_type) {
    int64_t row_bytes = 0;
    for (const Source& source : sources_) row_bytes += 2 * source.move.run();
    rows_ = sources_[0].move.rows();
    block_ = std::max<int64_t>(1, kBlockBytes * 2 / std::max<int64_t>(row_bytes, 1));
    const int64_t worthwhile = rows_ * row_bytes / kGrainBytes;
    slices_ = std::max<int64_t>(1, std::min<int64_t>({threads, worthwhile, rows_}));
  }

  int slices(int) const override { return static_cast<int>(slices_); }
  absl::Status run_slice(int, int slice, const StepBuffers& buffers) const override {
    const int64_t end = rows_ * (slice + 1) / slices_;
    for (int64_t row = rows_ * slice / slices_; row < end; row += block_) {
      for (const Source& source : sources_) {
        run_rows(source, row, std::min(block_, end - row), buffers);
      }
    }
    return absl::OkStatus();
  }
  std::string implementation() const override { return look_up_implementation(); }

 private:
  void run_rows(const Source& source, int64_t row, int64_t count,
                const StepBuffers& buffers) const {
    const StridedMove::Offsets at = source.move.offsets(row);
    const auto from_size = static_cast<int64_t>(dtype_size(source.from));
    const auto to_size = static_cast<int64_t>(dtype_size(to_type_));
    const std::byte* x = buffers.inputs[source.input] + at.from * from_size;
    std::byte* y = buffers.outputs[0] + at.to * to_size;
    const Rows rows{count, source.move.run(), source.move.from_strides[0] * from_size,
                    source.move.to_strides[0] * to_size};
    if (source.kind == Source::Kind::kTable) {
      look_up_rows(source.table, rows, reinterpret_cast<const uint8_t*>(x),
                   reinterpret_cast<uint8_t*>(y));
      return;
    }
    for (int64_t i = 0; i < count; ++i, x += rows.x_stride, y += rows.y_stride) {
      if (source.kind == Source::Kind::kCopy) {
        std::memcpy(y, x, static_cast<size_t>(rows.count * to_size));
      } else {
        rescale_run(source, to_type_, x, y);
      }
    }
  }

  std::vector<Source> sources_;
  DType to_type_;
  int64_t rows_ = 1;
  int64_t block_ = 1;  // rows
  int64_t slices_ = 1;
};

// Memory of a cat: `rows` outer positions, each a dense run of the input's part.
StridedMove run_of(const Desc& input, const Desc& output, int64_t dim, int64_t start) {
  const std::vector<int64_t> extents = stored_dims(input.dtype, input.dims);
  std::vector<int64_t> place = stored_strides(input.dtype, input.dims);
  const int64_t inner = place[dim];  // elements of one step along the axis
  StridedMove move;
  const int64_t run = inner * input.dims[dim];
  move.extents = {run == 0 ? 0 : numel(input.dims) / run, run};
  move.from_strides = {run, 1};
  move.to_strides = {inner * output.dims[dim], 1};
  move.to_offset = start * inner;
  return move;
}

absl::StatusOr<std::unique_ptr<BoundStep>> bind_cat(const Step& step, Descs inputs, Descs outputs,
                                                    BindContext& context) {
  AttrReader reader(step);
  const Desc& output = outputs[0];
  const int64_t dim = axis(reader, reader.integer("dim", 0), output.rank(), "dim");
  const std::vector<double> scales = reader.numbers("scales", std::vector<double>{});
  std::vector<Source> sources;
  int64_t start = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    Source source;
    source.input = i;
    source.from = inputs[i].dtype;
    source.move = run_of(inputs[i], output, dim, start);
    start += inputs[i].dims[dim];
    const double scale_out = is_quantized(output.dtype) ? reader.scale("scale_out") : 1.0;
    const bool same =
        !is_quantized(output.dtype) || (scales[i] == scale_out && source.from == output.dtype);
    if (!same && !is_wide(source.from) && !is_wide(output.dtype)) {
      source.kind = Source::Kind::kTable;
      source.table = requantize_table(source.from, scales[i], output.dtype, scale_out);
    } else if (!same) {
      source.kind = Source::Kind::kRescale;
      source.m = static_cast<float>(scales[i] / scale_out);
    }
    if (numel(inputs[i].dims) > 0) sources.push_back(std::move(source));
  }
  return std::make_unique<CatStep>(std::move(sources), output.dtype, context.threads);
}

}  // namespace

Kernel kernel_Cat() { return {infer_cat, bind_cat}; }

}  // namespace fxq
