// Reshape: the same elements in row-major order of logical dims, under new dims.
//   op = "reshape"   dims = attr shape, or the ints of input 1; one of them may be -1
//   op = "flatten"   attrs start_dim, end_dim
//   op = "squeeze"   attr dims; none = all of extent 1
//   op = "unsqueeze" attr dim
// Storage order is not logical order for channels-last tensors, so three cases: nothing moves
// (alias); the dims of both sides have a common refinement (one move); else through plain order in
// scratch.
#include <numeric>

#include "fmt/ranges.h"
#include "fxq/base/status.h"
#include "fxq/runtime/kernels/checks.h"
#include "fxq/runtime/kernels/move.h"

namespace fxq {
namespace {

using namespace kernels;  // NOLINT(google-build-using-namespace): this file is one of its members
using Dims = std::vector<int64_t>;

Dims resolve_shape(AttrReader& reader, Dims shape, int64_t count) {
  constexpr int64_t kMost = int64_t{1} << 46;
  const int64_t most = count > 0 ? count : kMost;
  int64_t known = 1;
  int64_t* open = nullptr;
  for (int64_t& dim : shape) {
    if (dim == -1 && open == nullptr) {
      open = &dim;
    } else if (dim < 0 || (dim > 0 && known > most / dim)) {
      known = -1;
      break;
    } else {
      known *= dim;
    }
  }
  const bool fits =
      known >= 0 && (open == nullptr ? known == count : known > 0 && count % known == 0);
  if (!fits) {
    reader.complain(
        fmt::format("{} elements cannot have shape [{}]", count, fmt::join(shape, ",")));
  } else if (open != nullptr) {
    *open = count / known;
  }
  return shape;
}

Dims flattened(AttrReader& reader, const Dims& dims) {
  const auto rank = static_cast<int64_t>(dims.size());
  if (rank == 0) return {1};
  const int64_t start = axis(reader, reader.integer("start_dim", 0), rank, "start_dim");
  const int64_t end = axis(reader, reader.integer("end_dim", -1), rank, "end_dim");
  if (start > end) {
    reader.complain(fmt::format("start_dim {} lies after end_dim {}", start, end));
    return dims;
  }
  Dims result(dims.begin(), dims.begin() + start);
  result.push_back(std::accumulate(dims.begin() + start, dims.begin() + end + 1, int64_t{1},
                                   std::multiplies<>()));
  result.insert(result.end(), dims.begin() + end + 1, dims.end());
  return result;
}

Dims squeezed(AttrReader& reader, const Dims& dims) {
  const auto rank = static_cast<int64_t>(dims.size());
  const Dims chosen = reader.integers("dims", Dims{});
  std::vector<bool> goes(dims.size(), chosen.empty());
  for (int64_t dim : chosen) {
    if (rank > 0) goes[axis(reader, dim, rank, "dims")] = true;
  }
  Dims result;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] != 1 || !goes[i]) result.push_back(dims[i]);
  }
  return result;
}

Dims unsqueezed(AttrReader& reader, Dims dims) {
  const auto rank = static_cast<int64_t>(dims.size());
  dims.insert(dims.begin() + axis(reader, reader.integer("dim"), rank + 1, "dim"), 1);
  return dims;
}

Dims output_dims(AttrReader& reader, Descs inputs) {
  const Dims& dims = inputs[0].dims;
  const std::string op = reader.text("op", "reshape");
  if (op == "flatten") return flattened(reader, dims);
  if (op == "squeeze") return squeezed(reader, dims);
  if (op == "unsqueeze") return unsqueezed(reader, dims);
  if (op != "reshape") reader.complain(fmt::format("op '{}' is unknown", op));
  Dims shape;
  if (inputs.size() == 1) {
    shape = reader.integers("shape");
  } else if (inputs[1].kind == ValueKind::kInts) {
    shape = std::get<Dims>(inputs[1].scalar);
  } else {
    reader.complain(fmt::format("input 1 is {}, needs a list of ints", inputs[1].describe()));
    return dims;
  }
  return resolve_shape(reader, std::move(shape), numel(dims));
}

absl::StatusOr<std::vector<Desc>> infer_reshape(const Step& step, Descs inputs) {
  AttrReader reader(step);
  if (!count_is(reader, inputs, 1, 2) || !is_tensor(reader, inputs, 0)) return reader.status();
  Dims dims = output_dims(reader, inputs);
  FXQ_RETURN_IF_ERROR(reader.status());
  return std::vector<Desc>{tensor_desc(inputs[0].dtype, std::move(dims))};
}

// Extents, outermost first, such that each dim of `a` and of `b` is a product of neighbouring ones;
// empty if there are none ([2,3] and [3,2]).
Dims common_refinement(const Dims& a, const Dims& b) {
  Dims result;
  size_t i = a.size();
  size_t j = b.size();
  int64_t left_a = 1;  // what is left of the dim of each side that is being cut up
  int64_t left_b = 1;
  while (true) {
    while (left_a == 1 && i > 0) left_a = a[--i];
    while (left_b == 1 && j > 0) left_b = b[--j];
    if (left_a == 1 || left_b == 1) break;
    const int64_t extent = std::min(left_a, left_b);
    if (left_a % extent != 0 || left_b % extent != 0) return {};
    result.insert(result.begin(), extent);
    left_a /= extent;
    left_b /= extent;
  }
  if (result.empty()) result.push_back(1);
  return result;
}

// Strides of the refined dims, given those of the dims that they cut up.
Dims refined_strides(const Dims& refined, const Dims& dims, const Dims& strides) {
  Dims result(refined.size());
  size_t dim = dims.size();
  int64_t left = 1;
  int64_t stride = 1;
  for (size_t i = refined.size(); i-- > 0;) {
    while (left == 1 && dim > 0) {
      --dim;
      left = dims[dim];
      stride = strides[dim];
    }
    result[i] = stride;
    stride *= refined[i];
    left /= refined[i];
  }
  return result;
}

std::optional<StridedMove> single_move(const Desc& input, const Desc& output) {
  const Dims refined = common_refinement(input.dims, output.dims);
  if (refined.empty()) return std::nullopt;
  return strided_move(
      input.dtype, refined,
      refined_strides(refined, input.dims, stored_strides(input.dtype, input.dims)),
      refined_strides(refined, output.dims, stored_strides(output.dtype, output.dims)));
}

Dims plain_strides(const Dims& dims) { return stored_strides(DType::kF32, dims); }

// storage -> plain scratch -> storage, one image-sized piece of work per phase.
class ThroughPlain final : public BoundStep {
 public:
  ThroughPlain(const Desc& input, const Desc& output)
      : to_plain_(strided_move(input.dtype, input.dims, stored_strides(input.dtype, input.dims),
                               plain_strides(input.dims))),
        from_plain_(strided_move(output.dtype, output.dims, plain_strides(output.dims),
                                 stored_strides(output.dtype, output.dims))) {}

  int phases() const override { return 2; }
  int slices(int) const override { return 1; }
  absl::Status run_slice(int phase, int, const StepBuffers& buffers) const override {
    if (phase == 0) {
      to_plain_.copy_rows(0, to_plain_.rows(), buffers.inputs[0], buffers.shared_scratch);
    } else {
      from_plain_.copy_rows(0, from_plain_.rows(), buffers.shared_scratch, buffers.outputs[0]);
    }
    return absl::OkStatus();
  }

 private:
  StridedMove to_plain_;
  StridedMove from_plain_;
};

absl::StatusOr<std::unique_ptr<BoundStep>> bind_reshape(const Step&, Descs inputs, Descs outputs,
                                                        BindContext& context) {
  if (std::optional<StridedMove> move = single_move(inputs[0], outputs[0])) {
    return move_step(*std::move(move), 0, 0, context.threads);
  }
  context.shared_scratch_bytes = stored_bytes(inputs[0].dtype, inputs[0].dims);
  return std::make_unique<ThroughPlain>(inputs[0], outputs[0]);
}

bool memory_is_plain(const Desc& desc) {
  if (!stored_channels_last(desc.dtype, desc.dims.size())) return true;
  return desc.dims[1] == 1 || numel(absl::MakeConstSpan(desc.dims).subspan(2)) == 1;
}

Sharing share_reshape(const Step&, Descs inputs, Descs outputs) {
  bool alias = memory_is_plain(inputs[0]) && memory_is_plain(outputs[0]);
  if (const std::optional<StridedMove> move = single_move(inputs[0], outputs[0])) {
    alias = alias ||
            (move->extents.size() == 1 && move->from_strides[0] == 1 && move->to_strides[0] == 1);
  }
  if (!alias) return {};
  return {Sharing::Kind::kAlias, {0}};
}

}  // namespace

Kernel kernel_Reshape() { return {infer_reshape, bind_reshape, share_reshape}; }

}  // namespace fxq
