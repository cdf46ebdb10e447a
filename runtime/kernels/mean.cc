// Mean: y = sat(rint((float)sum * m)) over the axes in attr dims (none = all); keepdim; the divisor
// is the number of elements. attrs scale_in, scale_out, dtype, activation as an average pool. Kept
// elements that lie side by side in memory are summed as vectors.
#include "fmt/ranges.h"
#include "fxq/base/status.h"
#include "fxq/runtime/kernels/checks.h"
#include "fxq/runtime/kernels/move.h"
#include "fxq/runtime/kernels/range_step.h"
#include "fxq/runtime/kernels/sums.h"

namespace fxq {
namespace {

using namespace kernels;  // NOLINT(google-build-using-namespace): this file is one of its members

std::vector<bool> reduced_axes(AttrReader& reader, int64_t rank) {
  const std::vector<int64_t> dims = reader.integers("dims", std::vector<int64_t>{});
  std::vector<bool> reduced(static_cast<size_t>(rank), dims.empty());
  for (int64_t dim : dims) {
    const int64_t index = axis(reader, dim, rank, "dims");
    if (rank > 0) reduced[index] = true;
  }
  return reduced;
}

absl::StatusOr<std::vector<Desc>> infer_mean(const Step& step, Descs inputs) {
  AttrReader reader(step);
  if (!count_is(reader, inputs, 1, 1) || !is_quantized_tensor(reader, inputs, 0)) {
    return reader.status();
  }
  const std::vector<bool> reduced = reduced_axes(reader, inputs[0].rank());
  const bool keepdim = reader.boolean("keepdim", false);
  const DType dtype = check_average(reader, inputs[0]);
  std::vector<int64_t> dims;
  int64_t summed = 1;
  for (size_t i = 0; i < reduced.size(); ++i) {
    if (reduced[i]) summed *= inputs[0].dims[i];
    if (!reduced[i] || keepdim) dims.push_back(reduced[i] ? 1 : inputs[0].dims[i]);
  }
  if (summed == 0 || summed > kMostSummed) {
    reader.complain(fmt::format("the mean of {} elements cannot be computed exactly", summed));
  }
  FXQ_RETURN_IF_ERROR(reader.status());
  return std::vector<Desc>{tensor_desc(dtype, std::move(dims))};
}

// Loops over what is kept (a StridedMove from input to output places) and what is summed.
struct MeanPlan {
  StridedMove kept;
  StridedMove summed;  // from_strides only
  int64_t count = 1;
  AverageRule rule;
};

MeanPlan mean_plan(AttrReader& reader, const Desc& input, const Desc& output) {
  const std::vector<bool> reduced = reduced_axes(reader, input.rank());
  const bool keepdim = reader.boolean("keepdim", false);
  const std::vector<int64_t> from = stored_strides(input.dtype, input.dims);
  const std::vector<int64_t> to = stored_strides(output.dtype, output.dims);
  std::vector<int64_t> kept_dims, kept_from, kept_to, summed_dims, summed_from;
  size_t at = 0;
  for (size_t i = 0; i < reduced.size(); ++i) {
    if (reduced[i]) {
      summed_dims.push_back(input.dims[i]);
      summed_from.push_back(from[i]);
    } else {
      kept_dims.push_back(input.dims[i]);
      kept_from.push_back(from[i]);
      kept_to.push_back(to[at]);
    }
    if (!reduced[i] || keepdim) ++at;
  }
  MeanPlan plan;
  plan.kept = strided_move(input.dtype, kept_dims, kept_from, kept_to);
  plan.summed = strided_move(input.dtype, summed_dims, summed_from, summed_from);
  plan.count = plan.summed.elements();
  plan.rule = average_rule(reader, input.dtype, output.dtype);
  return plan;
}

// One run of kept elements per row. With more than two summed loops, or kept elements that do not
// lie side by side, elements are taken one by one.
template <typename X, typename Y>
void mean_rows(const MeanPlan& plan, const X* x, Y* y, int64_t begin, int64_t end) {
  const StridedMove& summed = plan.summed;
  const auto divisor = static_cast<double>(plan.count);
  const bool vectors = plan.kept.from_strides.back() == 1 && plan.kept.to_strides.back() == 1;
  const size_t loops = summed.extents.size();
  const SumTaps taps{loops > 1 ? summed.extents[0] : 1, summed.run(),
                     loops > 1 ? summed.from_strides[0] : 0, summed.from_strides.back()};
  for (int64_t row = begin; row < end; ++row) {
    const StridedMove::Offsets at = plan.kept.offsets(row);
    const X* from = x + at.from;
    Y* to = y + at.to;
    if (vectors) {
      average(from, taps, plan.kept.run(), divisor, plan.rule, to);
      continue;
    }
    for (int64_t i = 0; i < plan.kept.run(); ++i) {
      average(from + i * plan.kept.from_strides.back(), taps, 1, divisor, plan.rule,
              to + i * plan.kept.to_strides.back());
    }
  }
}

template <typename X, typename Y>
std::unique_ptr<BoundStep> mean_step(MeanPlan plan, int threads) {
  const int64_t rows = plan.kept.rows();
  const int64_t row_bytes = plan.count * plan.kept.run();
  return range_step(
      rows, row_bytes, threads, "own",
      [plan = std::move(plan)](int64_t begin, int64_t end, const StepBuffers& buffers) {
        mean_rows(plan, reinterpret_cast<const X*>(buffers.inputs[0]),
                  reinterpret_cast<Y*>(buffers.outputs[0]), begin, end);
      });
}

absl::StatusOr<std::unique_ptr<BoundStep>> bind_mean(const Step& step, Descs inputs, Descs outputs,
                                                     BindContext& context) {
  AttrReader reader(step);
  const DType from = inputs[0].dtype;
  const DType to = outputs[0].dtype;
  MeanPlan plan = mean_plan(reader, inputs[0], outputs[0]);
  if (plan.summed.extents.size() > 2) {
    return absl::UnimplementedError(
        fmt::format("the mean over axes that are apart in memory, of {}", inputs[0].describe()));
  }
  if (is_wide(from) && is_wide(to))
    return mean_step<int16_t, int16_t>(std::move(plan), context.threads);
  if (is_wide(from)) return mean_step<int16_t, uint8_t>(std::move(plan), context.threads);
  if (is_wide(to)) return mean_step<uint8_t, int16_t>(std::move(plan), context.threads);
  return mean_step<uint8_t, uint8_t>(std::move(plan), context.threads);
}

}  // namespace

Kernel kernel_Mean() { return {infer_mean, bind_mean}; }

}  // namespace fxq
