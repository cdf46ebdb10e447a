// Whole files appear or do not appear; nothing is left of a failed write.
#include "fxq/base/file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "fxq/base/mapped_file.h"
#include "gmock/gmock.h"

namespace fxq {
namespace {

using ::testing::HasSubstr;

class FileOperations : public ::testing::Test {
 protected:
  FileOperations() {
    std::string name = (std::filesystem::temp_directory_path() / "fxq_file_XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  ~FileOperations() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  int64_t entries() const {
    const std::filesystem::directory_iterator begin(folder_);
    return std::distance(begin, std::filesystem::directory_iterator());
  }

  std::string folder_;
};

TEST_F(FileOperations, RoundTripsAndReplaces) {
  ASSERT_TRUE(write_file_atomically(path("a"), "first, and longer").ok());
  ASSERT_TRUE(write_file_atomically(path("a"), {"sec", "", "ond"}).ok());
  EXPECT_EQ(read_file(path("a")).value(), "second");
  ASSERT_TRUE(write_file_atomically(path("empty"), "").ok());
  EXPECT_EQ(read_file(path("empty")).value(), "");
  EXPECT_EQ(entries(), 2);
}

TEST_F(FileOperations, AReplacedFileKeepsItsMode) {
  ASSERT_TRUE(write_file_atomically(path("a"), "secret").ok());
  ASSERT_EQ(chmod(path("a").c_str(), 0600), 0);
  ASSERT_TRUE(write_file_atomically(path("a"), "other").ok());
  struct stat info {};
  ASSERT_EQ(stat(path("a").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600U);
}

TEST_F(FileOperations, LeavesNothingBehindOnFailure) {
  EXPECT_EQ(write_file_atomically(path("none/a"), "x").code(), absl::StatusCode::kNotFound);
  const absl::Status folder = write_file_atomically(folder_, "x");
  EXPECT_THAT(std::string(folder.message()), HasSubstr("a folder"));
  EXPECT_FALSE(write_file_atomically("/dev/full", "x").ok());
  EXPECT_FALSE(write_file_atomically("", "x").ok());
  EXPECT_EQ(check_writable(path("none/a")).code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(check_writable(folder_).ok());
  EXPECT_TRUE(check_writable(path("a")).ok());
  EXPECT_FALSE(check_writable("/proc/fxq").ok())
      << "root has permission there, but nothing is made";
  EXPECT_EQ(entries(), 0);
}

TEST_F(FileOperations, RefusesToMapWhatIsNoFile) {
  EXPECT_EQ(MappedFile::open(path("none")).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(MappedFile::open(folder_).status().message()), HasSubstr("a folder"));
  ASSERT_EQ(mkfifo(path("pipe").c_str(), 0600), 0);
  EXPECT_THAT(std::string(MappedFile::open(path("pipe")).status().message()), HasSubstr("a pipe"));
}

TEST_F(FileOperations, WritingToMappedBytesDoesNotReachTheFile) {
  ASSERT_TRUE(write_file_atomically(path("a"), "abc").ok());
  const auto file = MappedFile::open(path("a"));
  ASSERT_TRUE(file.ok()) << file.status();
  (*file)->bytes()[0] = std::byte{'X'};
  EXPECT_EQ((*file)->text(), "Xbc");
  EXPECT_EQ(read_file(path("a")).value(), "abc");
}

}  // namespace
}  // namespace fxq
