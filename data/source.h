// SampleSource: N samples of one input, read in order and by parts. Arrays in memory or mapped
// (.npy, .npz, tensors of a hook) hand out slices without copying; pictures are decoded as they are
// read. A Dataset owns its sources.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/base/host_tensor.h"
#include "fxq/data/preprocess.h"

namespace fxq {

// So many of a kind of problem are named, then their count.
constexpr size_t kMaxListed = 8;

class SampleSource {
 public:
  virtual ~SampleSource() = default;

  virtual int64_t size() const = 0;
  // What the samples come from, for messages: "x.npy: f32[100,3,32,32]".
  virtual std::string describe() const = 0;
  // Samples [first, first + count) as [count, ...]. `limit` is how many samples are used in all: a
  // report of NaN and Inf covers them.
  virtual absl::StatusOr<HostTensor> read(int64_t first, int64_t count, int64_t limit) const = 0;
};

// InvalidArgument unless `tensor` has a first dimension of at least 1.
absl::StatusOr<std::unique_ptr<SampleSource>> array_source(HostTensor tensor, std::string what);

// One sample per picture, [1, channels, height, width] each.
absl::StatusOr<std::unique_ptr<SampleSource>> picture_source(std::vector<std::string> paths,
                                                             Preprocess preprocess,
                                                             std::string what);

// Every picture below `folder`, sorted by path, so that the order never depends on the disk.
absl::StatusOr<std::vector<std::string>> pictures_in_folder(const std::string& folder);

// One picture per line, relative to the list's own folder; empty lines and # comments are skipped.
// All missing files are named at once.
absl::StatusOr<std::vector<std::string>> pictures_in_list(const std::string& path);

}  // namespace fxq
