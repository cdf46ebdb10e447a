// MappedFile: a whole file as memory, read page by page as it is touched. Shared by all tensors
// that borrow from it and unmapped with the last of them. The bytes are private: writing to them
// never reaches the file.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace fxq {

class MappedFile {
 public:
  // NotFound, PermissionDenied or InvalidArgument (a folder, a pipe) name the path and the reason.
  static absl::StatusOr<std::shared_ptr<const MappedFile>> open(const std::string& path);

  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::byte* bytes() const { return bytes_; }
  size_t size() const { return size_; }
  std::string_view text() const { return {reinterpret_cast<const char*>(bytes_), size_}; }

 private:
  MappedFile(std::byte* bytes, size_t size) : bytes_(bytes), size_(size) {}

  std::byte* bytes_;
  size_t size_;
};

}  // namespace fxq
