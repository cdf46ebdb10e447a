// What was saved comes back; any damage is DataLoss.
#include "fxq/base/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "fxq/base/file.h"
#include "fxq/base/mapped_file.h"

namespace fxq {
namespace {

using ::testing::HasSubstr;

class SafetensorsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(::testing::TempDir()) /
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string path(const std::string& name) const { return folder_ / name; }

  // Writes without any of our checks.
  std::string put(const std::string& name, const std::string& bytes) const {
    std::ofstream(path(name), std::ios::binary) << bytes;
    return path(name);
  }

  std::filesystem::path folder_;
};

HostTensor iota(DType dtype, std::vector<int64_t> dims) {
  HostTensor tensor(dtype, std::move(dims));
  for (size_t i = 0; i < tensor.byte_size(); ++i) tensor.mutable_bytes()[i] = std::byte(i * 7 + 1);
  return tensor;
}

Artifact sample() {
  Artifact artifact;
  artifact.metadata["graph"] = "graph (%x) {\n  return \"%x\"\n} \xE2\x88\x9E";
  artifact.metadata["a"] = "";
  artifact.tensors["conv.weight"] = iota(DType::kI8, {3, 1, 5});
  artifact.tensors["bias"] = iota(DType::kI32, {3});
  artifact.tensors["empty"] = HostTensor(DType::kF32, {0, 4});
  artifact.tensors["scalar"] = iota(DType::kF64, {});
  artifact.tensors["odd"] = iota(DType::kI16, {3});
  return artifact;
}

TEST_F(SafetensorsTest, GivesBackWhatWasSaved) {
  const Artifact artifact = sample();
  ASSERT_TRUE(save_artifact(artifact, path("a.fxq")).ok());
  const auto loaded = load_artifact(path("a.fxq"));
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->metadata, artifact.metadata);
  ASSERT_EQ(loaded->tensors.size(), artifact.tensors.size());
  for (const auto& [name, tensor] : artifact.tensors) {
    const HostTensor& other = loaded->tensors.at(name);
    EXPECT_EQ(other.describe(), tensor.describe()) << name;
    EXPECT_EQ(std::memcmp(other.bytes(), tensor.bytes(), tensor.byte_size()), 0) << name;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(other.bytes()) % dtype_size(tensor.dtype()), 0u) << name;
  }
}

TEST_F(SafetensorsTest, SameContentSameBytes) {
  const auto first = encode_safetensors(sample());
  const auto second = encode_safetensors(sample());
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(*first, *second);
  ASSERT_TRUE(save_artifact(sample(), path("a.fxq")).ok());
  const auto saved = read_file(path("a.fxq"));
  ASSERT_TRUE(saved.ok());
  EXPECT_EQ(*saved, *first);
}

TEST_F(SafetensorsTest, AnyFlippedByteIsDataLoss) {
  const std::string good = *encode_safetensors(sample());
  for (size_t i = 0; i < good.size(); ++i) {
    for (const int mask : {0x01, 0x20, 0xff}) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ mask);
      const auto loaded = load_artifact(put("bad.fxq", bad));
      ASSERT_EQ(loaded.status().code(), absl::StatusCode::kDataLoss) << "offset " << i;
      ASSERT_THAT(loaded.status().message(), HasSubstr("bad.fxq"));
    }
  }
}

TEST_F(SafetensorsTest, AnyTruncationIsDataLoss) {
  const std::string good = *encode_safetensors(sample());
  for (size_t size = 0; size < good.size(); ++size) {
    const auto loaded = load_artifact(put("short.fxq", good.substr(0, size)));
    ASSERT_EQ(loaded.status().code(), absl::StatusCode::kDataLoss) << "size " << size;
  }
  EXPECT_EQ(load_artifact(put("long.fxq", good + "x")).status().code(),
            absl::StatusCode::kDataLoss);
}

TEST_F(SafetensorsTest, SaysWhatAForeignFileIs) {
  EXPECT_THAT(load_artifact(put("m.pt", "PK\3\4 and more")).status().message(),
              HasSubstr("zip archive"));
  EXPECT_EQ(load_artifact(path("none.fxq")).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(load_artifact(folder_).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(SafetensorsTest, RefusesNamesThatTheFormatCannotHold) {
  Artifact artifact = sample();
  artifact.metadata["fxq.version"] = "7";
  EXPECT_EQ(encode_safetensors(artifact).status().code(), absl::StatusCode::kInvalidArgument);
  artifact = sample();
  artifact.tensors["\xff"] = HostTensor(DType::kF32, {1});
  EXPECT_EQ(encode_safetensors(artifact).status().code(), absl::StatusCode::kInvalidArgument);
  artifact = sample();
  artifact.tensors["__metadata__"] = HostTensor(DType::kF32, {1});
  EXPECT_EQ(encode_safetensors(artifact).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(SafetensorsTest, FailedWriteLeavesTheOldFileAndNothingElse) {
  ASSERT_TRUE(write_file_atomically(path("kept"), "old").ok());
  EXPECT_FALSE(write_file_atomically(path("no/such/folder"), "new").ok());
  EXPECT_EQ(write_file_atomically(folder_, "new").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(write_file_atomically("/dev/full", "new").ok());
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/full"));
  EXPECT_TRUE(write_file_atomically("/dev/null", "new").ok());
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
  std::filesystem::create_symlink("kept", path("link"));
  ASSERT_TRUE(write_file_atomically(path("link"), "newer").ok());
  EXPECT_TRUE(std::filesystem::is_symlink(path("link")));
  EXPECT_EQ(*read_file(path("kept")), "newer");
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) files += entry.exists();
  EXPECT_EQ(files, 2u);
}

}  // namespace
}  // namespace fxq
