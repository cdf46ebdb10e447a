// Dataset: a stream of batches of named inputs, from the files that users have: .npy, .npz, folders
// or lists (.txt) of pictures, and .pt through a hook. Nothing is held in memory that can be read
// when its turn comes. The order is fixed; the last batch may be short. It owns its sources.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "fxq/base/host_tensor.h"
#include "fxq/data/npz.h"
#include "fxq/data/preprocess.h"
#include "fxq/data/source.h"

namespace fxq {

// Reads a file of tensors; a tensor without a name is taken by its position.
using TensorReader = std::function<absl::StatusOr<std::vector<NamedTensor>>(const std::string&)>;

struct DatasetOptions {
  int64_t batch = 1;
  std::optional<int64_t> limit;  // at most so many samples
  // One batch that holds every input as a whole: they need not agree on N. Takes no `limit`.
  bool whole = false;
  // The inputs that are needed, in the order in which batches hold them. Empty: whatever comes, in
  // the order in which it comes.
  std::vector<std::string> input_names;
  std::optional<Preprocess> preprocess;  // needed for pictures
  TensorReader pt_reader;                // needed for .pt and .pth
};

struct Batch {
  int64_t first = 0;  // index of the first sample
  int64_t size = 0;
  std::vector<NamedTensor> inputs;  // each [size, ...], but for `whole` ones
};

class Dataset {
 public:
  // Each of `files` is `path` or `input=path`. A .npz, and a .pt with named tensors, gives all
  // inputs that it names; a path without a name is the next input by position. Errors list all
  // unknown, missing and repeated inputs, and all inputs that disagree on N.
  static absl::StatusOr<Dataset> open(absl::Span<const std::string> files, DatasetOptions options);

  int64_t size() const { return size_; }  // samples that will come, after the limit
  int64_t batch_count() const {
    return options_.whole ? 1 : (size_ + options_.batch - 1) / options_.batch;
  }
  std::vector<std::string> input_names() const;
  std::string describe() const;  // one line per input

  // The next batch, or nothing at the end. NaN and Inf are InvalidArgument naming file and samples.
  absl::StatusOr<std::optional<Batch>> next();
  void rewind() { next_ = 0; }
  // These samples (0 to size() - 1) in this order, as [count, ...] of every input. Independent of
  // next().
  absl::StatusOr<std::vector<NamedTensor>> gather(absl::Span<const int64_t> samples) const;

 private:
  struct Input {
    std::string name;
    std::unique_ptr<SampleSource> source;
  };

  absl::Status settle_size();
  absl::StatusOr<Batch> all() const;

  DatasetOptions options_;
  std::vector<Input> inputs_;
  int64_t size_ = 0;
  int64_t next_ = 0;
};

}  // namespace fxq
