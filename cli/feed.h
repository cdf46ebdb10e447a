// Data between files and models: datasets from --calib, --data and --input, batches as IValues,
// results as .npy files. The one place of the CLI that reads .pt tensors.
#pragma once

#include <ATen/core/ivalue.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/data/dataset.h"
#include "fxq/graph/graph_module.h"

namespace fxq {

struct FeedRequest {
  std::vector<std::string> files;  // "path" or "input=path"
  std::vector<std::string> input_names;
  int64_t batch = 1;
  std::optional<int64_t> limit;
  bool whole = false;      // all of every input at once, whatever their numbers of samples
  std::string preprocess;  // JSON block, "" if there is none
};
absl::StatusOr<Dataset> open_dataset(const FeedRequest& request);

// An input of a model as far as its numbers are concerned.
struct InputSpec {
  std::string name;
  DType dtype = DType::kF32;
};
std::vector<InputSpec> input_specs(const GraphModule& gm);
std::vector<InputSpec> input_specs(const std::vector<std::string>& names);  // all f32

// "4x3x224x224" or "x=4x3x224x224", one per input: standard normal numbers from a fixed seed; zeros
// where the input's dtype is no float (an index or a mask that is always valid).
absl::StatusOr<std::vector<NamedTensor>> random_inputs(const std::vector<std::string>& shapes,
                                                       const std::vector<InputSpec>& inputs);
absl::StatusOr<std::vector<int64_t>> parse_shape(const std::string& text);

std::vector<std::string> input_names(const GraphModule& gm);
std::vector<c10::IValue> to_values(const std::vector<NamedTensor>& inputs);
std::vector<HostTensor> to_host_tensors(const std::vector<NamedTensor>& inputs);
// All tensors of a result, depth first. Numbers become 0-d tensors; text goes to `texts`.
absl::StatusOr<std::vector<HostTensor>> to_host_tensors(const c10::IValue& result,
                                                        std::vector<std::string>* texts);

// One output: `path`; several: y.npy -> y.0.npy, y.1.npy, ... Returns the paths written.
absl::StatusOr<std::vector<std::string>> write_outputs(const std::vector<HostTensor>& outputs,
                                                       const std::string& path);

}  // namespace fxq
