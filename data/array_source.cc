// tensor[N, ...] -> slices tensor[first : first + count], borrowed.
#include <limits>

#include "fmt/format.h"
#include "fxq/base/check.h"
#include "fxq/base/status.h"
#include "fxq/data/finite.h"
#include "fxq/data/source.h"

namespace fxq {
namespace {

class ArraySource : public SampleSource {
 public:
  ArraySource(HostTensor tensor, std::string what)
      : tensor_(std::make_shared<HostTensor>(std::move(tensor))), what_(std::move(what)) {}

  int64_t size() const override { return tensor_->dims()[0]; }

  std::string describe() const override {
    return fmt::format("{}: {}", what_, tensor_->describe());
  }

  absl::StatusOr<HostTensor> read(int64_t first, int64_t count, int64_t limit) const override {
    FXQ_CHECK(first >= 0 && count > 0 && first + count <= size());
    std::vector<int64_t> dims = tensor_->dims();
    dims[0] = count;
    const size_t sample_bytes = tensor_->byte_size() / size();
    const HostTensor slice(tensor_->dtype(), std::move(dims),
                           tensor_->mutable_bytes() + first * sample_bytes, tensor_);
    // The whole report is worth a second look at the data only when there is something to report.
    if (count_not_finite(slice) > 0) return check_finite(*tensor_, limit, what_);
    return slice;
  }

 private:
  std::shared_ptr<HostTensor> tensor_;
  std::string what_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<SampleSource>> array_source(HostTensor tensor, std::string what) {
  if (tensor.dims().empty() || tensor.dims()[0] < 1) {
    return absl::InvalidArgumentError(fmt::format(
        "{}: {} holds no samples; needed is [N, ...] with N at least 1", what, tensor.describe()));
  }
  return std::make_unique<ArraySource>(std::move(tensor), std::move(what));
}

}  // namespace fxq
