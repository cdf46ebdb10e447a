// MemoryFile: the fuzzer's bytes as a file with a path, in memory; gone with the object.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>

namespace fxq::fuzz {

class MemoryFile {
 public:
  MemoryFile(const void* bytes, size_t size) : descriptor_(memfd_create("fuzz", 0)) {
    if (descriptor_ < 0 || write(descriptor_, bytes, size) != static_cast<ssize_t>(size)) abort();
  }
  ~MemoryFile() { close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

// A property that every input must have: the fuzzer stops where it does not hold.
inline void require(bool holds, const std::string& what) {
  if (holds) return;
  (void)!write(2, (what + "\n").data(), what.size() + 1);
  abort();
}

}  // namespace fxq::fuzz
