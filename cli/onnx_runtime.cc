// Tensors go to Python and back as .npy files, beside a job file that says which.
#include "fxq/cli/onnx_runtime.h"

#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "absl/strings/str_replace.h"
#include "fxq/base/file.h"
#include "fxq/base/status.h"
#include "fxq/data/npy.h"
#include "fxq/graph/tensor_convert.h"

namespace fxq {
namespace {

namespace fs = std::filesystem;

constexpr const char* kScript = R"(
import json
import sys

import numpy
import onnxruntime

with open(sys.argv[1], encoding="utf-8") as file:
    runs = json.load(file)
for run in runs:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    if not run["optimize"]:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(run["model"], options, providers=["CPUExecutionProvider"])
    inputs = {name: numpy.load(path) for name, path in run["inputs"].items()}
    names = list(run["outputs"])
    for name, value in zip(names, session.run(names, inputs)):
        numpy.save(run["outputs"][name], value)
)";

std::string quoted(const std::string& word) {
  return "'" + absl::StrReplaceAll(word, {{"'", "'\\''"}}) + "'";
}

// What the command prints; empty if it fails.
std::string output_of(const std::string& command) {
  std::FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) return "";
  std::string text;
  std::array<char, 256> buffer{};
  while (std::fgets(buffer.data(), static_cast<int>(buffer.size()), pipe)) text += buffer.data();
  if (pclose(pipe) != 0) return "";
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

std::vector<std::string> candidates() {
  std::vector<std::string> pythons;
  if (const char* chosen = std::getenv("FXQ_PYTHON")) pythons.emplace_back(chosen);
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (!error) {
    const fs::path beside = program.parent_path().parent_path() / "venv/bin/python";
    if (fs::exists(beside)) pythons.push_back(beside.string());
  }
  pythons.emplace_back("python3");
  return pythons;
}

absl::StatusOr<nlohmann::json> write_job(const ScratchFolder& folder,
                                         const std::vector<OnnxRun>& runs) {
  nlohmann::json jobs = nlohmann::json::array();
  int number = 0;
  const auto next = [&] { return folder.file(fmt::format("{}.npy", number++)); };
  for (const OnnxRun& run : runs) {
    nlohmann::json job{{"model", run.model},
                       {"optimize", run.optimize},
                       {"inputs", nlohmann::json::object()},
                       {"outputs", nlohmann::json::object()}};
    for (const auto& [name, tensor] : run.inputs) {
      const std::string path = next();
      FXQ_ASSIGN_OR_RETURN(const HostTensor host, to_host_tensor(tensor));
      FXQ_RETURN_IF_ERROR(write_npy(path, host));
      job["inputs"][name] = path;
    }
    for (const std::string& name : run.outputs) job["outputs"][name] = next();
    jobs.push_back(std::move(job));
  }
  return jobs;
}

}  // namespace

std::optional<OnnxRuntime> find_onnx_runtime() {
  for (const std::string& python : candidates()) {
    const std::string version = output_of(
        quoted(python) + " -c 'import onnxruntime; print(onnxruntime.__version__)' 2> /dev/null");
    if (!version.empty()) return OnnxRuntime{python, version};
  }
  return std::nullopt;
}

absl::StatusOr<std::vector<TensorsByName>> run_in(const OnnxRuntime& runtime,
                                                  const std::vector<OnnxRun>& runs) {
  const ScratchFolder folder;
  FXQ_ASSIGN_OR_RETURN(const nlohmann::json jobs, write_job(folder, runs));
  const std::string script = folder.file("run.py"), job = folder.file("job.json"),
                    log = folder.file("log.txt");
  FXQ_RETURN_IF_ERROR(write_file_atomically(script, kScript));
  FXQ_RETURN_IF_ERROR(write_file_atomically(job, jobs.dump()));
  const std::string command = fmt::format("{} {} {} > {} 2>&1", quoted(runtime.python),
                                          quoted(script), quoted(job), quoted(log));
  if (std::system(command.c_str()) != 0) {
    return absl::InternalError("ONNX Runtime: " + read_file(log).value_or("no log"));
  }
  std::vector<TensorsByName> results;
  for (const nlohmann::json& run : jobs) {
    TensorsByName& values = results.emplace_back();
    for (const auto& [name, path] : run["outputs"].items()) {
      FXQ_ASSIGN_OR_RETURN(const HostTensor host, read_npy(path));
      values[name] = to_at_tensor(host).clone();
    }
  }
  return results;
}

ScratchFolder::ScratchFolder(const std::string& beside) {
  const fs::path folder =
      beside.empty() ? fs::temp_directory_path() : fs::absolute(beside).parent_path();
  std::string pattern = (folder / ".fxq_XXXXXX").string();
  is_made_ = mkdtemp(pattern.data()) != nullptr;
  path_ = is_made_ ? pattern : folder.string();
}

ScratchFolder::~ScratchFolder() {
  std::error_code error;
  if (is_made_) fs::remove_all(path_, error);
}

}  // namespace fxq
