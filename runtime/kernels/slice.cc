// Slice: y = x[..., start : end : step, ...] along attr dim; start and end are attributes or the
//        registers in inputs 1 and 2 (absent = from the beginning, to the end). step >= 1.
//        op = "select": x[..., index, ...], without the dim; index is an attribute or input 1.
// Split: the outputs are the first neighbouring parts along attr dim; attr sizes, or split_size, or
//        chunks. A step may leave out the last ones.
#include "fmt/ranges.h"
#include "fxq/base/status.h"
#include "fxq/runtime/kernels/checks.h"
#include "fxq/runtime/kernels/move.h"

namespace fxq {
namespace {

using namespace kernels;  // NOLINT(google-build-using-namespace): this file is one of its members

// The part of the input that an output is.
struct Part {
  int64_t dim = 0;
  int64_t start = 0;
  int64_t step = 1;
};

// Attribute `name`, else the register in input `index`, else `otherwise`.
int64_t bound(AttrReader& reader, Descs inputs, size_t index, std::string_view name,
              std::optional<int64_t> otherwise) {
  if (index >= inputs.size() || inputs[index].absent) return reader.integer(name, otherwise);
  if (inputs[index].kind == ValueKind::kInt) return std::get<int64_t>(inputs[index].scalar);
  reader.complain(
      fmt::format("input {} ({}) is {}, needs an int", index, name, inputs[index].describe()));
  return 0;
}

int64_t clamped(int64_t position, int64_t extent) {
  const int64_t absolute = position < 0 ? position + extent : position;
  return std::min(std::max<int64_t>(absolute, 0), extent);
}

struct Slice {
  Part part;
  std::vector<int64_t> dims;
};

Slice read_slice(AttrReader& reader, Descs inputs) {
  Slice slice;
  slice.dims = inputs[0].dims;
  slice.part.dim = axis(reader, reader.integer("dim", 0), inputs[0].rank(), "dim");
  if (slice.dims.empty()) return slice;
  int64_t& extent = slice.dims[slice.part.dim];
  if (reader.text("op", "slice") == "select") {
    slice.part.start =
        axis(reader, bound(reader, inputs, 1, "index", std::nullopt), extent, "index");
    slice.dims.erase(slice.dims.begin() + slice.part.dim);
    return slice;
  }
  slice.part.step = reader.integer("step", 1);
  if (slice.part.step < 1) reader.complain(fmt::format("step {} is below 1", slice.part.step));
  slice.part.step = std::max<int64_t>(slice.part.step, 1);
  slice.part.start = clamped(bound(reader, inputs, 1, "start", 0), extent);
  const int64_t end = clamped(bound(reader, inputs, 2, "end", extent), extent);
  const int64_t length = std::max<int64_t>(end - slice.part.start, 0);
  extent = length == 0 ? 0 : (length - 1) / slice.part.step + 1;
  return slice;
}

absl::StatusOr<std::vector<Desc>> infer_slice(const Step& step, Descs inputs) {
  AttrReader reader(step);
  if (!count_is(reader, inputs, 1, 3) || !is_tensor(reader, inputs, 0)) return reader.status();
  Slice slice = read_slice(reader, inputs);
  FXQ_RETURN_IF_ERROR(reader.status());
  return std::vector<Desc>{tensor_desc(inputs[0].dtype, std::move(slice.dims))};
}

// `output` has all dims of the input, or all but part.dim.
StridedMove move_of(const Desc& input, const Desc& output, const Part& part) {
  std::vector<int64_t> from = stored_strides(input.dtype, input.dims);
  const int64_t stride = from[part.dim];
  if (output.dims.size() == input.dims.size()) {
    from[part.dim] *= part.step;
  } else {
    from.erase(from.begin() + part.dim);
  }
  StridedMove move =
      strided_move(input.dtype, output.dims, from, stored_strides(output.dtype, output.dims));
  move.from_offset = part.start * stride;
  return move;
}

absl::StatusOr<std::unique_ptr<BoundStep>> bind_slice(const Step& step, Descs inputs, Descs outputs,
                                                      BindContext& context) {
  AttrReader reader(step);
  const Slice slice = read_slice(reader, inputs);
  return move_step(move_of(inputs[0], outputs[0], slice.part), 0, 0, context.threads);
}

std::vector<int64_t> split_sizes(AttrReader& reader, int64_t extent) {
  if (reader.has("sizes")) {
    std::vector<int64_t> sizes = reader.integers("sizes");
    int64_t sum = 0;
    for (int64_t size : sizes) sum = size < 0 || sum < 0 || size > extent - sum ? -1 : sum + size;
    if (sum != extent) {
      reader.complain(fmt::format("sizes [{}] do not add up to {}", fmt::join(sizes, ","), extent));
    }
    return sizes;
  }
  const bool chunks = reader.has("chunks");
  const int64_t number = reader.integer(chunks ? "chunks" : "split_size");
  if (number < 1) {
    reader.complain(fmt::format("a number of {} is below 1", number));
    return {};
  }
  const int64_t size = std::max<int64_t>(chunks ? (extent + number - 1) / number : number, 1);
  std::vector<int64_t> sizes;
  for (int64_t start = 0; start < extent; start += size) {
    sizes.push_back(std::min(size, extent - start));
  }
  return sizes;
}

absl::StatusOr<std::vector<Desc>> infer_split(const Step& step, Descs inputs) {
  AttrReader reader(step);
  if (!count_is(reader, inputs, 1, 1) || !is_tensor(reader, inputs, 0)) return reader.status();
  const int64_t dim = axis(reader, reader.integer("dim", 0), inputs[0].rank(), "dim");
  FXQ_RETURN_IF_ERROR(reader.status());
  const std::vector<int64_t> sizes = split_sizes(reader, inputs[0].dims[dim]);
  FXQ_RETURN_IF_ERROR(reader.status());
  std::vector<Desc> outputs;
  for (int64_t size : sizes) {
    if (outputs.size() == step.outputs.size()) break;  // nobody reads the last parts
    outputs.push_back(tensor_desc(inputs[0].dtype, inputs[0].dims));
    outputs.back().dims[dim] = size;
  }
  return outputs;
}

// One slice per output.
class SplitStep final : public BoundStep {
 public:
  explicit SplitStep(std::vector<StridedMove> moves) : moves_(std::move(moves)) {}
  int slices(int) const override { return static_cast<int>(moves_.size()); }
  absl::Status run_slice(int, int slice, const StepBuffers& buffers) const override {
    const StridedMove& move = moves_[slice];
    if (move.elements() > 0) {
      move.copy_rows(0, move.rows(), buffers.inputs[0], buffers.outputs[slice]);
    }
    return absl::OkStatus();
  }

 private:
  std::vector<StridedMove> moves_;
};

absl::StatusOr<std::unique_ptr<BoundStep>> bind_split(const Step& step, Descs inputs, Descs outputs,
                                                      BindContext&) {
  AttrReader reader(step);
  Part part;
  part.dim = axis(reader, reader.integer("dim", 0), inputs[0].rank(), "dim");
  std::vector<StridedMove> moves;
  for (const Desc& output : outputs) {
    moves.push_back(move_of(inputs[0], output, part));
    part.start += output.dims[part.dim];
  }
  return std::make_unique<SplitStep>(std::move(moves));
}

}  // namespace

Kernel kernel_Slice() { return {infer_slice, bind_slice}; }
Kernel kernel_Split() { return {infer_split, bind_split}; }

}  // namespace fxq
