// classify MODEL.fxq INPUT.npy [TOP]: loads an int8 program, runs it on every row of the input and
// prints the classes with the largest scores. Links no LibTorch.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <numeric>

#include "fxq/base/status.h"
#include "fxq/data/npy.h"
#include "fxq/runtime/executor.h"

namespace {

void print_row(int64_t row, absl::Span<const float> scores, size_t top) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  top = std::min(top, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(top), order.end(),
                    [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  std::printf("%lld:", static_cast<long long>(row));
  for (size_t i = 0; i < top; ++i) std::printf("  %zu (%.3f)", order[i], scores[order[i]]);
  std::printf("\n");
}

absl::Status classify(const std::string& model, const std::string& input, size_t top) {
  FXQ_ASSIGN_OR_RETURN(const auto executor, fxq::load_program(model));
  FXQ_ASSIGN_OR_RETURN(const fxq::HostTensor batch, fxq::read_npy(input));
  FXQ_ASSIGN_OR_RETURN(const std::vector<fxq::HostTensor> outputs, executor->run({&batch, 1}));
  const fxq::HostTensor& scores = outputs.at(0);
  if (scores.dtype() != fxq::DType::kF32 || scores.dims().size() != 2) {
    return absl::InvalidArgumentError(model + ": its output is " + scores.describe() +
                                      ", needs f32[batch, classes]");
  }
  const auto classes = static_cast<size_t>(scores.dims()[1]);
  for (int64_t row = 0; row < scores.dims()[0]; ++row) {
    print_row(row, scores.data<float>().subspan(static_cast<size_t>(row) * classes, classes), top);
  }
  return absl::OkStatus();
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 3 || count > 4) {
    std::fprintf(stderr, "usage: classify MODEL.fxq INPUT.npy [TOP]\n");
    return 2;
  }
  const int top = count == 4 ? std::atoi(arguments[3]) : 3;
  const absl::Status status =
      classify(arguments[1], arguments[2], static_cast<size_t>(std::max(top, 1)));
  if (status.ok()) return 0;
  std::fprintf(stderr, "classify: %s\n", std::string(status.message()).c_str());
  return 1;
}
