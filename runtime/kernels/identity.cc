// Identity: the same tensor under another name (dropout, contiguous, ... at inference).
#include "fxq/base/status.h"
#include "fxq/runtime/kernels/checks.h"
#include "fxq/runtime/kernels/move.h"

namespace fxq {
namespace {

using namespace kernels;  // NOLINT(google-build-using-namespace): this file is one of its members

absl::StatusOr<std::vector<Desc>> infer_identity(const Step& step, Descs inputs) {
  AttrReader reader(step);
  if (count_is(reader, inputs, 1, 1)) is_tensor(reader, inputs, 0);
  FXQ_RETURN_IF_ERROR(reader.status());
  return std::vector<Desc>{tensor_desc(inputs[0].dtype, inputs[0].dims)};
}

absl::StatusOr<std::unique_ptr<BoundStep>> bind_identity(const Step&, Descs inputs, Descs,
                                                         BindContext& context) {
  const std::vector<int64_t> strides = stored_strides(inputs[0].dtype, inputs[0].dims);
  return move_step(strided_move(inputs[0].dtype, inputs[0].dims, strides, strides), 0, 0,
                   context.threads);
}

Sharing share_identity(const Step&, Descs, Descs) { return {Sharing::Kind::kAlias, {0}}; }

}  // namespace

Kernel kernel_Identity() { return {infer_identity, bind_identity, share_identity}; }

}  // namespace fxq
