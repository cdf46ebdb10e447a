// Files of a test: a folder of its own, removed at the end, and the loops over damaged copies of a
// byte string that every reader of user files must survive.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "fxq/base/host_tensor.h"
#include "gtest/gtest.h"

namespace fxq {

class FileTest : public ::testing::Test {
 protected:
  FileTest();
  ~FileTest() override;

  std::string path(std::string_view name) const { return folder_ + "/" + std::string(name); }
  // Writes the file (and folders above it) and gives its path.
  std::string write(std::string_view name, std::string_view bytes) const;

 private:
  std::string folder_;
};

template <typename T>
HostTensor make_tensor(DType dtype, std::vector<int64_t> dims, const std::vector<T>& values) {
  HostTensor tensor(dtype, std::move(dims));
  EXPECT_EQ(tensor.byte_size(), values.size() * sizeof(T));
  for (size_t i = 0; i < values.size(); ++i) tensor.mutable_data<T>()[i] = values[i];
  return tensor;
}

template <typename T>
std::vector<T> values_of(const HostTensor& tensor) {
  return {tensor.data<T>().begin(), tensor.data<T>().end()};
}

// Calls `read` with every proper prefix of `bytes`.
void for_each_truncation(std::string_view bytes, const std::function<void(std::string_view)>& read);

// Calls `read` with `bytes` and one byte changed: three changes at each offset.
void for_each_flip(std::string_view bytes,
                   const std::function<void(std::string_view, size_t offset)>& read);

}  // namespace fxq
