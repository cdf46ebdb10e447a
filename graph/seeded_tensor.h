// Contents of tensors by a short text, `normal(7)`, so that a graph's text alone can run. The
// numbers depend on the seed only: not on LibTorch's generators, the platform or the thread count.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/graph/argument.h"

namespace at {
class Tensor;
}

namespace fxq {

struct TensorInit {
  std::string kind;            // normal uniform ones zeros full arange values
  std::vector<Argument> args;  // normal(seed, std = 1), uniform(seed, low = 0, high = 1),
                               // full(x), arange(start = 0, step = 1), values([..])
};

// A new tensor of the dtype and shape of `like`; integers are rounded and saturated. `salt` changes
// the seed (one line may fill many tensors). InvalidArgument: unknown kind, wrong arguments.
absl::StatusOr<at::Tensor> seeded_tensor(const TensorInit& init, const at::Tensor& like,
                                         uint64_t salt = 0);

}  // namespace fxq
