// Loads a .pt and says in words why it can't: TorchScript files are zip archives that hold code/.
#include <c10/util/Exception.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>

#include "fxq/base/mapped_file.h"
#include "fxq/base/status.h"
#include "fxq/tracer/trace.h"

namespace fxq {
namespace {

constexpr const char* kAdvice =
    "save the model with torch.jit.script(model).save(path) or torch.jit.trace(model, "
    "x).save(path)";

// LibTorch's messages may begin with an empty line.
std::string load_problem(const std::string& text) {
  const size_t start = std::min(text.find_first_not_of('\n'), text.size());
  std::string line = text.substr(start, text.find('\n', start) - start);
  if (line.find("Unknown builtin op") != std::string::npos) {
    line +=
        " Load the library that registers it: --load-library LIB.so, or load_operator_library()";
  }
  return line;
}

// What the bytes are, if they are plainly no TorchScript archive.
absl::Status check_archive(const std::string& path, std::string_view bytes) {
  if (bytes.empty()) return absl::InvalidArgumentError(fmt::format("{} is empty", path));
  if (bytes.substr(0, 2) == "\x80\x02" || bytes.substr(0, 2) == "\x80\x04") {
    return absl::InvalidArgumentError(fmt::format(
        "{} is a pickle of torch.save (a state_dict or a Python module), which holds no code; {}",
        path, kAdvice));
  }
  if (bytes.substr(0, 2) != "PK") {
    return absl::InvalidArgumentError(fmt::format("{} is no TorchScript file; {}", path, kAdvice));
  }
  // A zip's table of contents stands at its end.
  const std::string_view tail = bytes.substr(bytes.size() - std::min<size_t>(bytes.size(), 66000));
  if (tail.rfind("PK\x05\x06") == std::string_view::npos) {
    return absl::DataLossError(
        fmt::format("{} is cut short: {} bytes without the archive's end", path, bytes.size()));
  }
  if (tail.find("/code/") == std::string_view::npos &&
      bytes.find("/code/") == std::string_view::npos) {
    return absl::InvalidArgumentError(fmt::format(
        "{} is an archive of torch.save (a state_dict or a Python module), which holds no code; {}",
        path, kAdvice));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<torch::jit::Module> load_script_module(const std::string& path) {
  FXQ_ASSIGN_OR_RETURN(const auto file, MappedFile::open(path));
  FXQ_RETURN_IF_ERROR(check_archive(path, file->text()));
  try {
    return torch::jit::load(path, c10::Device(c10::kCPU));
  } catch (const c10::Error& error) {
    return absl::DataLossError(
        fmt::format("{} can't be loaded: {}", path, load_problem(error.what_without_backtrace())));
  } catch (const std::exception& error) {
    return absl::DataLossError(
        fmt::format("{} can't be loaded: {}", path, load_problem(error.what())));
  }
}

absl::Status load_operator_library(const std::string& path) {
  const bool is_path = path.find('/') != std::string::npos;  // else dlopen searches elsewhere
  const std::string name = is_path ? path : "./" + path;
  if (!dlopen(name.c_str(), RTLD_NOW | RTLD_GLOBAL)) {
    const char* reason = dlerror();
    return absl::InvalidArgumentError(
        fmt::format("{} can't be loaded as a library: {}", path, reason ? reason : "unknown"));
  }
  return absl::OkStatus();
}

}  // namespace fxq
