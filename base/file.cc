// write: create path.<pid>.<n>.tmp -> write all -> fsync -> rename to path.
#include "fxq/base/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "fmt/format.h"
#include "fxq/base/mapped_file.h"
#include "fxq/base/status.h"

namespace fxq {
namespace {

absl::Status write_error(const std::string& path, int error) {
  return absl::Status(absl::ErrnoToStatusCode(error),
                      fmt::format("cannot write {}: {}", path, std::strerror(error)));
}

int write_all(int file, std::string_view bytes) {
  constexpr size_t kLargestWrite = size_t{1} << 30;
  while (!bytes.empty()) {
    const ssize_t count = ::write(file, bytes.data(), std::min(bytes.size(), kLargestWrite));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return 0;
}

// Beside the target, so that the rename stays on one file system. open(2) applies the umask, which
// mkstemp does not.
std::string temporary_name(const std::string& path) {
  static std::atomic<int> counter{0};
  return fmt::format("{}.{}.{}.tmp", path, ::getpid(), counter++);
}

int fill_and_close(int file, absl::Span<const std::string_view> pieces) {
  int error = 0;
  for (std::string_view piece : pieces) {
    if (error == 0) error = write_all(file, piece);
  }
  if (error == 0 && ::fsync(file) != 0) error = errno;
  if (::close(file) != 0 && error == 0) error = errno;
  return error;
}

}  // namespace

absl::StatusOr<std::string> read_file(const std::string& path) {
  FXQ_ASSIGN_OR_RETURN(std::shared_ptr<const MappedFile> file, MappedFile::open(path));
  return std::string(file->text());
}

absl::Status write_file_atomically(const std::string& path,
                                   absl::Span<const std::string_view> pieces) {
  // Renaming over a folder fails late and over a device (/dev/stdout) would replace it.
  std::error_code ignored;
  const std::filesystem::file_status target = std::filesystem::status(path, ignored);
  if (std::filesystem::exists(target) && !std::filesystem::is_regular_file(target)) {
    return absl::InvalidArgumentError(
        fmt::format("cannot write {}: it exists and is not an ordinary file", path));
  }
  const std::string temporary = temporary_name(path);
  const int file = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file < 0) return write_error(path, errno);
  int error = fill_and_close(file, pieces);
  if (error == 0 && std::rename(temporary.c_str(), path.c_str()) != 0) error = errno;
  if (error == 0) return absl::OkStatus();
  ::unlink(temporary.c_str());
  return write_error(path, error);
}

absl::Status write_file_atomically(const std::string& path, std::string_view bytes) {
  return write_file_atomically(path, absl::MakeConstSpan(&bytes, 1));
}

}  // namespace fxq
