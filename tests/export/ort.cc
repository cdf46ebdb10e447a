// ONNX Runtime as `fxq export --validate` calls it (cli/onnx_runtime.h), in the Python of ./dev
// setup.
#include "ort.h"

#include <onnx/onnx_pb.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "fxq/base/file.h"
#include "fxq/base/status.h"
#include "fxq/cli/onnx_runtime.h"

namespace fxq::export_test {
namespace {

const std::optional<OnnxRuntime>& runtime() {
  static const std::optional<OnnxRuntime> found = [] {
    setenv("FXQ_PYTHON", FXQ_PYTHON, 1);
    return find_onnx_runtime();
  }();
  return found;
}

}  // namespace

bool has_onnx_runtime() { return runtime().has_value(); }

std::string scratch_directory() {
  static int counter = 0;
  const auto path =
      std::filesystem::temp_directory_path() /
      ("fxq_export_test_" + std::to_string(getpid()) + "_" + std::to_string(counter++));
  std::filesystem::create_directories(path);
  return path.string();
}

absl::StatusOr<Tensors> run_onnx_runtime(const onnx::ModelProto& model, const Tensors& inputs,
                                         const std::vector<std::string>& outputs,
                                         Optimizations optimizations) {
  const ScratchFolder folder;
  const std::string path = folder.file("model.onnx");
  FXQ_RETURN_IF_ERROR(write_file_atomically(path, model.SerializeAsString()));
  return run_onnx_file(path, inputs, outputs, optimizations);
}

absl::StatusOr<Tensors> run_onnx_file(const std::string& path, const Tensors& inputs,
                                      const std::vector<std::string>& outputs,
                                      Optimizations optimizations) {
  if (!runtime()) return absl::FailedPreconditionError("no ONNX Runtime: run ./dev setup");
  const OnnxRun run{path, inputs, outputs, optimizations == Optimizations::kOn};
  FXQ_ASSIGN_OR_RETURN(std::vector<Tensors> results, run_in(*runtime(), {run}));
  return std::move(results[0]);
}

}  // namespace fxq::export_test
