// Runner: one way to run what the user names: the int8 program of a .fxq, the traced float graph of
// a .pt, or with `eager` the TorchScript module itself.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/data/dataset.h"

namespace fxq {

struct RunnerRequest {
  std::string model;
  int threads = 1;
  bool eager = false;
  bool allow_torchscript = false;
};

class Runner {
 public:
  static absl::StatusOr<std::unique_ptr<Runner>> create(const RunnerRequest& request);
  virtual ~Runner() = default;

  virtual std::vector<std::string> input_names() const = 0;
  // All output tensors, depth first; texts() has the text among the last run's outputs.
  virtual absl::StatusOr<std::vector<HostTensor>> run(const std::vector<NamedTensor>& inputs) = 0;
  const std::vector<std::string>& texts() const { return texts_; }
  // The preprocess block that the model was calibrated with, "" if there is none.
  virtual std::string preprocess() const { return ""; }

 protected:
  std::vector<std::string> texts_;
};

}  // namespace fxq
