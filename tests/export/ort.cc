// Tensors go to ONNX Runtime and back as .npy files of a directory that is the test's own.
#include "ort.h"

#include <ATen/core/Tensor.h>
#include <onnx/onnx_pb.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "fxq/base/file.h"
#include "fxq/base/status.h"
#include "fxq/data/npy.h"
#include "fxq/graph/tensor_convert.h"

namespace fxq::export_test {

bool has_onnx_runtime() {
  static const bool found =
      std::system(FXQ_PYTHON " -c 'import onnxruntime' > /dev/null 2>&1") == 0;
  return found;
}

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
  const std::string folder = scratch_directory();
  const std::string path = folder + "/model.onnx";
  FXQ_RETURN_IF_ERROR(write_file_atomically(path, model.SerializeAsString()));
  auto result = run_onnx_file(path, inputs, outputs, optimizations);
  std::filesystem::remove_all(folder);
  return result;
}

absl::StatusOr<Tensors> run_onnx_file(const std::string& path, const Tensors& inputs,
                                      const std::vector<std::string>& outputs,
                                      Optimizations optimizations) {
  const std::string folder = scratch_directory();
  nlohmann::json job{{"model", path}, {"inputs", nlohmann::json::object()}};
  job["optimize"] = optimizations == Optimizations::kOn;
  int number = 0;
  for (const auto& [name, tensor] : inputs) {
    const std::string path = folder + "/" + std::to_string(number++) + ".npy";
    FXQ_ASSIGN_OR_RETURN(const HostTensor host, to_host_tensor(tensor));
    FXQ_RETURN_IF_ERROR(write_npy(path, host));
    job["inputs"][name] = path;
  }
  for (const std::string& name : outputs) {
    job["outputs"][name] = folder + "/" + std::to_string(number++) + ".npy";
  }
  const std::string job_file = folder + "/job.json";
  const std::string log = folder + "/log.txt";
  FXQ_RETURN_IF_ERROR(write_file_atomically(job_file, job.dump()));
  const std::string command =
      std::string(FXQ_PYTHON " " FXQ_SOURCE_DIR "/tests/export/run_ort.py ") + job_file + " > " +
      log + " 2>&1";
  if (std::system(command.c_str()) != 0) {
    return absl::InternalError("ONNX Runtime: " + read_file(log).value_or("no log"));
  }
  Tensors result;
  for (const std::string& name : outputs) {
    FXQ_ASSIGN_OR_RETURN(const HostTensor host, read_npy(job["outputs"][name]));
    result[name] = to_at_tensor(host).clone();
  }
  std::filesystem::remove_all(folder);
  return result;
}

}  // namespace fxq::export_test
