// "x=a.npy" -> {x}      "a.npz" -> {keys}      "val/", "val.txt" -> pictures      "a.pt" -> the
// hook
#include "fxq/data/open_source.h"

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "fxq/base/status.h"
#include "fxq/data/image.h"
#include "fxq/data/npy.h"
#include "fxq/data/npz.h"

namespace fxq {
namespace {

namespace fs = std::filesystem;

struct FileSpec {
  std::string name;
  std::string path;
};

bool exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// A path may hold '=', so an existing file or a slash before the '=' wins.
FileSpec split(const std::string& spec) {
  const size_t equals = spec.find('=');
  if (equals == std::string::npos || equals == 0 || exists(spec)) return {"", spec};
  if (spec.find('/') < equals) return {"", spec};
  return {spec.substr(0, equals), spec.substr(equals + 1)};
}

std::string extension_of(const std::string& path) {
  std::string extension = fs::path(path).extension().string();
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return extension;
}

// np.savez(path, a, b) names its arrays arr_0, arr_1: positions, not names.
bool is_positional(const std::string& name, size_t position) {
  return name == fmt::format("arr_{}", position);
}

class Opener {
 public:
  explicit Opener(const DatasetOptions& options) : options_(options) {}

  absl::StatusOr<std::vector<OpenedInput>> open(const FileSpec& file) {
    std::error_code ignored;
    if (fs::is_directory(file.path, ignored)) {
      FXQ_ASSIGN_OR_RETURN(std::vector<std::string> paths, pictures_in_folder(file.path));
      return pictures(file, std::move(paths));
    }
    const std::string extension = extension_of(file.path);
    if (extension == ".npy") return array(file);
    if (extension == ".npz") return tensors(file, read_npz(file.path));
    if (extension == ".pt" || extension == ".pth") return pt(file);
    if (has_image_extension(file.path)) return pictures(file, {file.path});
    if (extension == ".txt" || extension == ".lst") {
      FXQ_ASSIGN_OR_RETURN(std::vector<std::string> paths, pictures_in_list(file.path));
      return pictures(file, std::move(paths));
    }
    return absl::InvalidArgumentError(fmt::format(
        "{}: unknown kind of data{}; readable are .npy, .npz, .pt, .jpg, .png, a folder of "
        "pictures, a list of pictures (.txt)",
        file.path, exists(file.path) ? "" : " (and no such file)"));
  }

 private:
  using Inputs = absl::StatusOr<std::vector<OpenedInput>>;

  static absl::Status append(const FileSpec& file, std::string name, const std::string& what,
                             absl::StatusOr<std::unique_ptr<SampleSource>> source,
                             std::vector<OpenedInput>* inputs) {
    if (!source.ok()) return source.status();
    inputs->push_back({std::move(name), what, !file.name.empty(), *std::move(source)});
    return absl::OkStatus();
  }

  Inputs array(const FileSpec& file) {
    FXQ_ASSIGN_OR_RETURN(HostTensor tensor, read_npy(file.path));
    std::vector<OpenedInput> inputs;
    FXQ_RETURN_IF_ERROR(
        append(file, file.name, file.path, array_source(std::move(tensor), file.path), &inputs));
    return inputs;
  }

  Inputs pt(const FileSpec& file) {
    if (options_.pt_reader == nullptr) {
      return absl::UnimplementedError(fmt::format(
          "{}: .pt files cannot be read without LibTorch; save .npy or .npz", file.path));
    }
    return tensors(file, options_.pt_reader(file.path));
  }

  static Inputs tensors(const FileSpec& file, absl::StatusOr<std::vector<NamedTensor>> read) {
    if (!read.ok()) return read.status();
    if (!file.name.empty() && read->size() != 1) {
      std::vector<std::string> names;
      for (const NamedTensor& named : *read) names.push_back(named.name);
      return absl::InvalidArgumentError(
          fmt::format("{}={}: one array is needed, the file holds {} ({}); give the file without "
                      "a name to use them all",
                      file.name, file.path, names.size(), fmt::join(names, ", ")));
    }
    std::vector<OpenedInput> inputs;
    for (size_t i = 0; i < read->size(); ++i) {
      NamedTensor& named = (*read)[i];
      std::string name = is_positional(named.name, i) ? "" : named.name;
      if (!file.name.empty()) name = file.name;
      const std::string what =
          named.name.empty() ? file.path : fmt::format("{}: {}", file.path, named.name);
      FXQ_RETURN_IF_ERROR(
          append(file, name, what, array_source(std::move(named.tensor), what), &inputs));
    }
    return inputs;
  }

  Inputs pictures(const FileSpec& file, std::vector<std::string> paths) {
    if (!options_.preprocess.has_value()) {
      return absl::FailedPreconditionError(fmt::format(
          "{}: pictures need a preprocess block in the config, such as {{\"color\": \"RGB\", "
          "\"resize\": 256, \"crop\": 224, \"scale\": 0.00392157}}",
          file.path));
    }
    std::vector<OpenedInput> inputs;
    FXQ_RETURN_IF_ERROR(append(file, file.name, file.path,
                               picture_source(std::move(paths), *options_.preprocess, file.path),
                               &inputs));
    return inputs;
  }

  const DatasetOptions& options_;
};

}  // namespace

absl::StatusOr<std::vector<OpenedInput>> open_sources(absl::Span<const std::string> files,
                                                      const DatasetOptions& options) {
  Opener opener(options);
  std::vector<OpenedInput> inputs;
  std::vector<std::string> problems;
  absl::StatusCode code = absl::StatusCode::kOk;
  for (const std::string& spec : files) {
    absl::StatusOr<std::vector<OpenedInput>> opened = opener.open(split(spec));
    if (opened.ok()) {
      std::move(opened->begin(), opened->end(), std::back_inserter(inputs));
      continue;
    }
    if (problems.empty()) code = opened.status().code();
    problems.emplace_back(opened.status().message());
  }
  if (problems.empty()) return inputs;
  return absl::Status(code, fmt::format("{}", fmt::join(problems, "\n")));
}

}  // namespace fxq
