// paths -> decode -> preprocess -> one batch [count, channels, height, width].
#include <algorithm>
#include <cstring>
#include <filesystem>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "fxq/base/check.h"
#include "fxq/base/file.h"
#include "fxq/base/status.h"
#include "fxq/data/image.h"
#include "fxq/data/source.h"

namespace fxq {
namespace {

namespace fs = std::filesystem;

class PictureSource : public SampleSource {
 public:
  PictureSource(std::vector<std::string> paths, Preprocess preprocess, std::string what)
      : paths_(std::move(paths)), preprocess_(std::move(preprocess)), what_(std::move(what)) {}

  int64_t size() const override { return static_cast<int64_t>(paths_.size()); }

  std::string describe() const override {
    return fmt::format("{}: {} pictures", what_, paths_.size());
  }

  absl::StatusOr<HostTensor> read(int64_t first, int64_t count, int64_t /*limit*/) const override {
    FXQ_CHECK(first >= 0 && count > 0 && first + count <= size());
    HostTensor batch;
    for (int64_t i = 0; i < count; ++i) {
      FXQ_ASSIGN_OR_RETURN(const HostTensor sample, read_one(paths_[first + i]));
      if (i == 0) batch = HostTensor(DType::kF32, batch_dims(count, sample.dims()));
      if (batch_dims(count, sample.dims()) != batch.dims()) {
        return absl::InvalidArgumentError(fmt::format(
            "{} gives {}, but {} of the same batch gives another size; make them equal by "
            "\"resize\": [height, width], or by \"resize\" and \"crop\"",
            paths_[first + i], sample.describe(), paths_[first]));
      }
      std::memcpy(batch.mutable_bytes() + i * sample.byte_size(), sample.bytes(),
                  sample.byte_size());
    }
    return batch;
  }

 private:
  static std::vector<int64_t> batch_dims(int64_t count, const std::vector<int64_t>& sample) {
    std::vector<int64_t> dims{count};
    dims.insert(dims.end(), sample.begin(), sample.end());
    return dims;
  }

  absl::StatusOr<HostTensor> read_one(const std::string& path) const {
    FXQ_ASSIGN_OR_RETURN(const Image image, read_image(path, pixel_format(preprocess_)));
    absl::StatusOr<HostTensor> sample = preprocess_image(image, preprocess_);
    if (sample.ok()) return sample;
    return absl::Status(sample.status().code(),
                        fmt::format("{}: {}", path, std::string(sample.status().message())));
  }

  std::vector<std::string> paths_;
  Preprocess preprocess_;
  std::string what_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<SampleSource>> picture_source(std::vector<std::string> paths,
                                                             Preprocess preprocess,
                                                             std::string what) {
  if (paths.empty()) {
    return absl::InvalidArgumentError(fmt::format("{}: no .jpg, .jpeg or .png files", what));
  }
  return std::make_unique<PictureSource>(std::move(paths), std::move(preprocess), std::move(what));
}

absl::StatusOr<std::vector<std::string>> pictures_in_folder(const std::string& folder) {
  std::vector<std::string> paths;
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, error);
  for (const fs::recursive_directory_iterator end; !error && entry != end; entry.increment(error)) {
    const std::string path = entry->path().string();
    std::error_code ignored;
    if (has_image_extension(path) && entry->is_regular_file(ignored)) paths.push_back(path);
  }
  if (error) {
    return absl::InvalidArgumentError(
        fmt::format("cannot read folder {}: {}", folder, error.message()));
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

absl::StatusOr<std::vector<std::string>> pictures_in_list(const std::string& path) {
  FXQ_ASSIGN_OR_RETURN(const std::string text, read_file(path));
  const fs::path folder = fs::path(path).parent_path();
  std::vector<std::string> paths;
  std::vector<std::string> missing;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    line.erase(line.find_last_not_of(" \t\r") + 1);
    line.erase(0, line.find_first_not_of(" \t"));
    if (line.empty() || line[0] == '#') continue;
    const fs::path file = folder / line;  // an absolute line stays as it is
    std::error_code ignored;
    if (!fs::is_regular_file(file, ignored)) missing.push_back(line);
    paths.push_back(file.string());
  }
  if (missing.empty()) return paths;
  const size_t count = missing.size();
  missing.resize(std::min(count, kMaxListed));
  return absl::NotFoundError(fmt::format("{}: {} of {} files do not exist: {}{}", path, count,
                                         paths.size(), fmt::join(missing, ", "),
                                         count > kMaxListed ? ", ..." : ""));
}

}  // namespace fxq
