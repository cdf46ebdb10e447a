// Damaged copies live in exactly sized heap blocks, so that a sanitizer sees a read past their end.
#include "test_files.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>

namespace fxq {

FileTest::FileTest() {
  std::string name = (std::filesystem::temp_directory_path() / "fxq_test_XXXXXX").string();
  EXPECT_NE(mkdtemp(name.data()), nullptr);
  folder_ = name;
}

FileTest::~FileTest() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::string FileTest::write(std::string_view name, std::string_view bytes) const {
  const std::string file = path(name);
  std::filesystem::create_directories(std::filesystem::path(file).parent_path());
  std::ofstream(file, std::ios::binary) << bytes;
  return file;
}

void for_each_truncation(std::string_view bytes,
                         const std::function<void(std::string_view)>& read) {
  for (size_t size = 0; size < bytes.size(); ++size) {
    const auto copy = std::make_unique<char[]>(size);
    if (size > 0) std::memcpy(copy.get(), bytes.data(), size);
    read({copy.get(), size});
  }
}

void for_each_flip(std::string_view bytes,
                   const std::function<void(std::string_view, size_t offset)>& read) {
  const auto copy = std::make_unique<char[]>(bytes.size());
  std::memcpy(copy.get(), bytes.data(), bytes.size());
  for (size_t offset = 0; offset < bytes.size(); ++offset) {
    for (int mask : {0x01, 0x80, 0xff}) {
      copy[offset] = static_cast<char>(bytes[offset] ^ mask);
      read({copy.get(), bytes.size()}, offset);
    }
    copy[offset] = bytes[offset];
  }
}

}  // namespace fxq
