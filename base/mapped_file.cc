// open, fstat, mmap(MAP_PRIVATE), close. An empty file has no mapping: bytes() is null, size() 0.
#include "fxq/base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/status/status.h"
#include "fmt/format.h"

namespace fxq {
namespace {

absl::Status open_error(const std::string& path, int error) {
  return absl::Status(absl::ErrnoToStatusCode(error),
                      fmt::format("cannot open {}: {}", path, std::strerror(error)));
}

absl::Status check_regular(const std::string& path, const struct stat& info) {
  if (S_ISREG(info.st_mode)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("cannot read {}: it is {}, an ordinary file is needed", path,
                  S_ISDIR(info.st_mode) ? "a folder" : "a pipe or a device"));
}

}  // namespace

absl::StatusOr<std::shared_ptr<const MappedFile>> MappedFile::open(const std::string& path) {
  // Without O_NONBLOCK a pipe that nobody writes to would hang here.
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return open_error(path, errno);
  struct stat info {};
  absl::Status status;
  if (::fstat(file, &info) != 0) {
    status = open_error(path, errno);
  } else {
    status = check_regular(path, info);
  }
  void* address = nullptr;
  const auto size = static_cast<size_t>(info.st_size);
  if (status.ok() && size > 0) {
    address = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file, 0);
    if (address == MAP_FAILED) status = open_error(path, errno);
  }
  ::close(file);
  if (!status.ok()) return status;
  return std::shared_ptr<const MappedFile>(new MappedFile(static_cast<std::byte*>(address), size));
}

MappedFile::~MappedFile() {
  if (bytes_ != nullptr) ::munmap(bytes_, size_);
}

}  // namespace fxq
