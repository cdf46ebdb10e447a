// path -> path.<pid>-<n>.tmp: create exclusively, write, fsync, rename to path, fsync the folder.
#include "fxq/base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "fmt/format.h"
#include "fxq/base/mapped_file.h"
#include "fxq/base/status.h"

namespace fxq {
namespace {

absl::Status write_error(const std::string& path, std::string_view what) {
  const int error = errno;
  return absl::Status(absl::ErrnoToStatusCode(error),
                      fmt::format("cannot {} {}: {}", what, path, std::strerror(error)));
}

absl::Status write_all(int file, const std::string& path, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return write_error(path, "write");
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status write_pieces(int file, const std::string& path,
                          absl::Span<const std::string_view> pieces) {
  for (std::string_view piece : pieces) {
    FXQ_RETURN_IF_ERROR(write_all(file, path, piece));
  }
  return absl::OkStatus();
}

absl::Status write_directly(const std::string& path, absl::Span<const std::string_view> pieces) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return write_error(path, "write");
  absl::Status status = write_pieces(file, path, pieces);
  if (::close(file) != 0 && status.ok()) status = write_error(path, "write");
  return status;
}

// The file that `path` means once links are followed; `path` itself if there is none yet.
std::string resolved(const std::string& path) {
  char* real = ::realpath(path.c_str(), nullptr);
  if (real == nullptr) return path;
  std::string result = real;
  std::free(real);
  return result;
}

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

void sync_folder_of(const std::string& path) {
  const int file = ::open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return;
  // Some file systems cannot sync a folder; the content itself is safe already.
  static_cast<void>(::fsync(file));
  ::close(file);
}

std::string temporary_beside(const std::string& path) {
  static std::atomic<int> counter{0};
  return fmt::format("{}.{}-{}.tmp", path, ::getpid(), counter++);
}

// Permissions alone don't say it: file systems refuse for reasons of their own.
absl::Status check_creatable(const std::string& path) {
  const std::string temporary = temporary_beside(path);
  const int file = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file < 0) return write_error(path, "create");
  ::close(file);
  ::unlink(temporary.c_str());
  return absl::OkStatus();
}

absl::Status replace_file(const std::string& path, absl::Span<const std::string_view> pieces) {
  const std::string temporary = temporary_beside(path);
  const int file = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file < 0) return write_error(path, "create");
  struct stat replaced {};
  if (::stat(path.c_str(), &replaced) == 0) {
    // A mode that cannot be kept is no reason not to write.
    static_cast<void>(::fchmod(file, replaced.st_mode & 07777) == 0);
  }
  absl::Status status = write_pieces(file, path, pieces);
  if (status.ok() && ::fsync(file) != 0) status = write_error(path, "write");
  if (::close(file) != 0 && status.ok()) status = write_error(path, "write");
  if (status.ok() && ::rename(temporary.c_str(), path.c_str()) != 0) {
    status = write_error(path, "create");
  }
  if (!status.ok()) {
    ::unlink(temporary.c_str());
    return status;
  }
  sync_folder_of(path);
  return status;
}

}  // namespace

absl::StatusOr<std::string> read_file(const std::string& path) {
  FXQ_ASSIGN_OR_RETURN(auto file, MappedFile::open(path));
  return std::string(file->text());
}

absl::Status write_file_atomically(const std::string& path, std::string_view content) {
  return write_file_atomically(path, absl::Span<const std::string_view>(&content, 1));
}

absl::Status write_file_atomically(const std::string& path,
                                   absl::Span<const std::string_view> pieces) {
  FXQ_RETURN_IF_ERROR(check_writable(path));
  const std::string target = resolved(path);
  struct stat info {};
  const bool special = ::stat(target.c_str(), &info) == 0 && !S_ISREG(info.st_mode);
  return special ? write_directly(target, pieces) : replace_file(target, pieces);
}

absl::Status check_writable(const std::string& path) {
  const std::string target = resolved(path);
  struct stat info {};
  if (::stat(target.c_str(), &info) != 0) {
    if (::access(folder_of(target).c_str(), W_OK | X_OK) != 0) return write_error(path, "create");
    return check_creatable(target);
  }
  if (S_ISDIR(info.st_mode)) {
    return absl::InvalidArgumentError(
        fmt::format("cannot write {}: it is a folder, the name of a file is needed", path));
  }
  if (::access(target.c_str(), W_OK) != 0) return write_error(path, "write");
  return S_ISREG(info.st_mode) ? check_creatable(target) : absl::OkStatus();
}

}  // namespace fxq
