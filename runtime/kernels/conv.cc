// The kernels Conv, ConvTranspose and Linear: read the step (conv_problem.h has its contract), then
// take the first route that is exact and exists.
#include "fxq/base/status.h"
#include "fxq/runtime/kernels/conv_problem.h"
#include "fxq/runtime/kernels/conv_routes.h"

namespace fxq {
namespace {

using conv::ConvProblem;

enum class Form { kConv, kTransposed, kLinear };

absl::StatusOr<ConvProblem> read(Form form, const Step& step, Descs inputs) {
  if (form == Form::kLinear) return conv::read_linear(step, inputs);
  return conv::read_conv(step, inputs, form == Form::kTransposed);
}

template <Form form>
absl::StatusOr<std::vector<Desc>> infer(const Step& step, Descs inputs) {
  FXQ_ASSIGN_OR_RETURN(ConvProblem problem, read(form, step, inputs));
  return std::vector<Desc>{tensor_desc(problem.epilogue.output, std::move(problem.out_dims))};
}

template <Form form>
absl::StatusOr<std::unique_ptr<BoundStep>> bind(const Step& step, Descs inputs, Descs,
                                                BindContext& context) {
  FXQ_ASSIGN_OR_RETURN(const ConvProblem problem, read(form, step, inputs));
  absl::StatusOr<std::unique_ptr<BoundStep>> bound = conv::bind_depthwise(problem, context);
  if (absl::IsUnimplemented(bound.status())) bound = conv::bind_onednn(problem, context);
  if (absl::IsUnimplemented(bound.status())) bound = conv::bind_plain(problem, context);
  if (!bound.ok() || !(problem.transpose_input || problem.transpose_output)) return bound;
  return conv::with_transposed_rows(problem, *std::move(bound), context);
}

// The residual may become the output, unless x is the same buffer: other tiles still read x.
Sharing sharing(const Step& step, Descs inputs, Descs) {
  const bool other = inputs.size() > conv::kOther && !inputs[conv::kOther].absent;
  if (!other || step.inputs[conv::kOther] == step.inputs[conv::kX]) return {};
  return {Sharing::Kind::kInPlace, {static_cast<int>(conv::kOther)}};
}

template <Form form>
Kernel kernel() {
  return {&infer<form>, &bind<form>, &sharing, static_cast<int>(conv::kWeight)};
}

}  // namespace

Kernel kernel_Conv() { return kernel<Form::kConv>(); }
Kernel kernel_ConvTranspose() { return kernel<Form::kTransposed>(); }
Kernel kernel_Linear() { return kernel<Form::kLinear>(); }

}  // namespace fxq
