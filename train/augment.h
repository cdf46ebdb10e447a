// Augmentation of training pictures: each is shifted (its edge repeated, as pad-and-crop does) and
// mirrored by chance. The chance is a function of seed, epoch and sample: the same for any batch
// size, number of processes, and after a resume.
#pragma once

#include <ATen/core/ivalue.h>

#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "fxq/train/train_options.h"

namespace fxq {

struct Augmentation {
  int64_t down = 0, right = 0;  // pixels, may be negative
  bool mirrored = false;
};
Augmentation augmentation_of(const TrainOptions& options, int64_t epoch, int64_t sample);

// Replaces every input by what its samples' augmentations make of it: all inputs of a sample alike,
// their last two dimensions height and width. Nothing if the options ask for none. InvalidArgument
// for an input that is no tensor [N, ..., height, width].
absl::Status augment(const TrainOptions& options, int64_t epoch, absl::Span<const int64_t> samples,
                     std::vector<c10::IValue>& inputs);

}  // namespace fxq
