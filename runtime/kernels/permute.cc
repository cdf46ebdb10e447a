// Permute: y.dims[i] = x.dims[dims[i]]. attrs dims = [0, 2, 3, 1], or swap = [1, 2] for a
// transpose.
#include <numeric>

#include "fmt/ranges.h"
#include "fxq/base/status.h"
#include "fxq/runtime/kernels/checks.h"
#include "fxq/runtime/kernels/move.h"

namespace fxq {
namespace {

using namespace kernels;  // NOLINT(google-build-using-namespace): this file is one of its members

std::vector<int64_t> permutation(AttrReader& reader, int64_t rank) {
  std::vector<int64_t> dims(static_cast<size_t>(rank));
  std::iota(dims.begin(), dims.end(), int64_t{0});
  if (reader.has("swap")) {
    const std::vector<int64_t> swap = reader.integers("swap");
    if (swap.size() != 2) {
      reader.complain(fmt::format("swap = [{}] are not two axes", fmt::join(swap, ",")));
    } else if (rank > 0) {
      std::swap(dims[axis(reader, swap[0], rank, "swap")],
                dims[axis(reader, swap[1], rank, "swap")]);
    }
    return dims;
  }
  std::vector<int64_t> wanted = reader.integers("dims");
  for (int64_t& dim : wanted) dim = axis(reader, dim, rank, "dims");
  if (!std::is_permutation(wanted.begin(), wanted.end(), dims.begin(), dims.end())) {
    reader.complain(
        fmt::format("dims = [{}] do not name each of {} axes once", fmt::join(wanted, ","), rank));
    return dims;
  }
  return wanted;
}

std::vector<int64_t> permuted(const std::vector<int64_t>& values,
                              const std::vector<int64_t>& order) {
  std::vector<int64_t> result;
  for (int64_t index : order) result.push_back(values[static_cast<size_t>(index)]);
  return result;
}

absl::StatusOr<std::vector<Desc>> infer_permute(const Step& step, Descs inputs) {
  AttrReader reader(step);
  if (!count_is(reader, inputs, 1, 1) || !is_tensor(reader, inputs, 0)) return reader.status();
  const std::vector<int64_t> order = permutation(reader, inputs[0].rank());
  FXQ_RETURN_IF_ERROR(reader.status());
  return std::vector<Desc>{tensor_desc(inputs[0].dtype, permuted(inputs[0].dims, order))};
}

StridedMove move_of(const Step& step, const Desc& input, const Desc& output) {
  AttrReader reader(step);
  const std::vector<int64_t> order = permutation(reader, input.rank());
  return strided_move(input.dtype, output.dims,
                      permuted(stored_strides(input.dtype, input.dims), order),
                      stored_strides(output.dtype, output.dims));
}

absl::StatusOr<std::unique_ptr<BoundStep>> bind_permute(const Step& step, Descs inputs,
                                                        Descs outputs, BindContext& context) {
  return move_step(move_of(step, inputs[0], outputs[0]), 0, 0, context.threads);
}

// Nothing moves if the new order is that of storage already (NHWC of an NCHW tensor, dims of 1).
Sharing share_permute(const Step& step, Descs inputs, Descs outputs) {
  const StridedMove move = move_of(step, inputs[0], outputs[0]);
  if (move.extents.size() != 1 || move.from_strides[0] != 1 || move.to_strides[0] != 1) return {};
  return {Sharing::Kind::kAlias, {0}};
}

}  // namespace

Kernel kernel_Permute() { return {infer_permute, bind_permute, share_permute}; }

}  // namespace fxq
