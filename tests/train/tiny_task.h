// A small image task: the class of a picture is its brightest quarter. A net with a depthwise
// convolution and batch norms learns it in seconds.
#pragma once

#include <memory>

#include "fxq/graph/graph_module.h"
#include "fxq/train/batch_source.h"

namespace fxq::train_test {

GraphModule tiny_net();  // untrained, in train() mode, input f32[N,3,8,8]
std::unique_ptr<BatchSource> tiny_data(int64_t samples, uint64_t seed);

}  // namespace fxq::train_test
