// A convolution or linear step made from a few words, its inputs drawn from a seed, its result by
// the definition (scalar loops over logical coordinates), and a run of the real kernel on any
// number of threads. Tests compare the two.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "fxq/base/host_tensor.h"
#include "fxq/runtime/kernel.h"

namespace fxq {

struct ConvCase {
  std::string kernel = "Conv";  // Conv, ConvTranspose, Linear
  std::vector<int64_t> x;
  std::vector<int64_t> weight;
  std::vector<int64_t> stride, padding, dilation, output_padding;  // empty: the default
  int64_t groups = 1;
  DType x_type = DType::kU8;
  DType weight_type = DType::kI8;
  DType output = DType::kU8;
  std::string activation;
  bool bias = true;
  bool has_other = false;
  DType other = DType::kU8;
  bool extreme = false;  // sources of 255 and weights of -128 and 127 only

  std::string describe() const;
};

std::ostream& operator<<(std::ostream& out, const ConvCase& c);

struct ConvData {
  Step step;
  std::vector<HostTensor> inputs;  // plain; x, weight, multiplier, bias, other (absent: f32[0])
  HostTensor expected;             // plain
};

// The multiplier is chosen so that results spread over the output's range and past it.
ConvData make_data(const ConvCase& c);

struct ConvRun {
  absl::Status status;
  HostTensor output;  // plain
  std::string implementation;
  int slices = 0;
};

struct ConvRunOptions {
  int threads = 1;
  bool in_place = false;  // the output is other's buffer
};

ConvRun run_kernel(const ConvData& data, const ConvRunOptions& options);

// Elements that differ; all of them if the shapes do.
int64_t differences(const HostTensor& a, const HostTensor& b);

}  // namespace fxq
