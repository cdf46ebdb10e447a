// ONNX Runtime, if some Python on this machine has it: runs ONNX files on tensors, in a process of
// its own.
#pragma once

#include <ATen/core/TensorBody.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace fxq {

using TensorsByName = std::map<std::string, at::Tensor>;

struct OnnxRuntime {
  std::string python;   // that has it
  std::string version;  // "1.17.1"
};
// $FXQ_PYTHON, the venv beside the program (build/venv), python3 on PATH: the first that has it.
std::optional<OnnxRuntime> find_onnx_runtime();

struct OnnxRun {
  std::string model;  // a file
  TensorsByName inputs;
  std::vector<std::string> outputs;
  // False: every operator as the file has it, Q and DQ in float. True, ONNX Runtime's default: QDQ
  // becomes its integer kernels.
  bool optimize = false;
};
// The outputs of each run. Internal carries ONNX Runtime's own words.
absl::StatusOr<std::vector<TensorsByName>> run_in(const OnnxRuntime& runtime,
                                                  const std::vector<OnnxRun>& runs);

// A directory of one's own; gone with the object.
class ScratchFolder {
 public:
  // In the system's place for temporary files, or in the folder of `beside`; where none can be
  // made, that place itself.
  explicit ScratchFolder(const std::string& beside = "");
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
  bool is_made_ = false;
};

}  // namespace fxq
