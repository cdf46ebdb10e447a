// Zip archives as NumPy writes them, stored and deflated; damaged files.
#include "fxq/data/npz.h"

#include <zlib.h>

#include "fmt/format.h"
#include "fxq/base/file.h"
#include "fxq/data/npy.h"
#include "fxq/data/zip.h"
#include "gmock/gmock.h"
#include "test_files.h"

namespace fxq {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class NpzTest : public FileTest {
 protected:
  std::string message(std::string_view bytes) const {
    return std::string(read_npz(write("bad.npz", bytes)).status().message());
  }
};

std::string le(uint64_t value, int size) {
  std::string bytes;
  for (int i = 0; i < size; ++i, value >>= 8) bytes.push_back(static_cast<char>(value & 0xff));
  return bytes;
}

std::string deflated(const std::string& content) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string packed(deflateBound(&stream, content.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

struct RawMember {
  std::string name;
  int method = 0;
  std::string packed;
  std::string content;
  int flags = 0;
};

// An archive of one member as Python's zipfile lays it out, with zip64 fields if asked for.
std::string archive_of(const RawMember& member, bool zip64 = false) {
  const auto* bytes = reinterpret_cast<const Bytef*>(member.content.data());
  const uint64_t crc = crc32_z(0, bytes, member.content.size());
  const std::string shared =
      le(45, 2) + le(member.flags, 2) + le(member.method, 2) + le(0, 4) + le(crc, 4);
  const std::string sizes = zip64 ? le(0xffffffff, 4) + le(0xffffffff, 4)
                                  : le(member.packed.size(), 4) + le(member.content.size(), 4);
  const std::string extra = zip64 ? le(1, 2) + le(24, 2) + le(member.content.size(), 8) +
                                        le(member.packed.size(), 8) + le(0, 8)
                                  : "";
  const std::string local = "PK\x03\x04" + shared + sizes + le(member.name.size(), 2) + le(0, 2) +
                            member.name + member.packed;
  const std::string central = "PK\x01\x02" + le(45, 2) + shared + sizes +
                              le(member.name.size(), 2) + le(extra.size(), 2) + le(0, 10) +
                              le(zip64 ? 0xffffffff : 0, 4) + member.name + extra;
  const std::string end64 = "PK\x06\x06" + le(44, 8) + le(45, 2) + le(45, 2) + le(0, 8) + le(1, 8) +
                            le(1, 8) + le(central.size(), 8) + le(local.size(), 8);
  const std::string locator =
      "PK\x06\x07" + le(0, 4) + le(local.size() + central.size(), 8) + le(1, 4);
  const std::string end = "PK\x05\x06" + le(0, 4) + le(zip64 ? 0xffff : 1, 2) +
                          le(zip64 ? 0xffff : 1, 2) + le(central.size(), 4) +
                          le(zip64 ? 0xffffffff : local.size(), 4) + le(0, 2);
  return local + central + (zip64 ? end64 + locator : "") + end;
}

std::string array_bytes() {
  const HostTensor tensor = make_tensor<int16_t>(DType::kI16, {3}, {7, -8, 9});
  return encode_npy_header(tensor).value() + le(7, 2) + le(0xfff8, 2) + le(9, 2);
}

TEST_F(NpzTest, RoundTrips) {
  const HostTensor x = make_tensor<float>(DType::kF32, {2, 2}, {1, 2, 3, 4});
  const HostTensor z = make_tensor<int64_t>(DType::kI64, {1}, {-5});
  ASSERT_TRUE(write_npz(path("a.npz"), {{"x", x}, {"layer.z", z}}).ok());
  const auto back = read_npz(path("a.npz"));
  ASSERT_TRUE(back.ok()) << back.status();
  ASSERT_EQ(back->size(), 2U);
  EXPECT_EQ((*back)[0].name, "x");
  EXPECT_EQ((*back)[1].name, "layer.z");
  EXPECT_THAT(values_of<float>((*back)[0].tensor), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(values_of<int64_t>((*back)[1].tensor), ElementsAre(-5));
  EXPECT_EQ(reinterpret_cast<uintptr_t>((*back)[1].tensor.bytes()) % 64, 0U);
  ASSERT_TRUE(write_npz(path("b.npz"), *back).ok());
  EXPECT_EQ(read_file(path("a.npz")).value(), read_file(path("b.npz")).value());
}

TEST_F(NpzTest, ReadsStoredDeflatedAndZip64) {
  const std::string array = array_bytes();
  for (bool zip64 : {false, true}) {
    for (const RawMember& member :
         {RawMember{"a.npy", 0, array, array}, RawMember{"a.npy", 8, deflated(array), array}}) {
      const auto read = read_npz(write("a.npz", archive_of(member, zip64)));
      ASSERT_TRUE(read.ok()) << read.status();
      ASSERT_EQ(read->size(), 1U);
      EXPECT_EQ((*read)[0].name, "a");
      EXPECT_THAT(values_of<int16_t>((*read)[0].tensor), ElementsAre(7, -8, 9));
    }
  }
}

TEST_F(NpzTest, RefusesWhatItCannotRead) {
  const std::string array = array_bytes();
  EXPECT_THAT(message(archive_of({"a.npy", 12, array, array})), HasSubstr("by method 12"));
  EXPECT_THAT(message(archive_of({"a.npy", 0, array, array, 1})), HasSubstr("is encrypted"));
  EXPECT_THAT(message(archive_of({"data.pkl", 0, array, array})),
              HasSubstr("no .npy arrays: data.pkl"));
  EXPECT_THAT(message(archive_of({"a.npy", 8, deflated(array), array + "x"})),
              HasSubstr("does not inflate to 135 bytes"));
  EXPECT_THAT(message(archive_of({"a.npy", 0, array, std::string(array.size(), 'x')})),
              HasSubstr("another checksum"));
  EXPECT_THAT(message("hello"), HasSubstr("not a zip archive"));
  EXPECT_THAT(message(""), HasSubstr("not a zip archive"));
}

TEST_F(NpzTest, RefusesSizesThatNoStreamCouldFill) {
  std::string bytes = archive_of({"a.npy", 8, deflated(array_bytes()), array_bytes()}, true);
  const size_t extra = bytes.find(le(1, 2) + le(24, 2));
  ASSERT_NE(extra, std::string::npos);
  bytes.replace(extra + 4, 8, le(uint64_t{1} << 60, 8));
  EXPECT_THAT(message(bytes), HasSubstr("cannot hold"));
}

TEST_F(NpzTest, RefusesToWriteOneNameTwice) {
  const HostTensor x(DType::kF32, {1});
  EXPECT_FALSE(write_npz(path("a.npz"), {{"x", x}, {"x", x}}).ok());
  EXPECT_FALSE(std::filesystem::exists(path("a.npz")));
}

TEST_F(NpzTest, SurvivesDamage) {
  const std::string array = array_bytes();
  for (bool zip64 : {false, true}) {
    const std::string good = archive_of({"a.npy", 8, deflated(array), array}, zip64);
    const auto read = [&](std::string_view bytes) {
      const auto members = zip_members(bytes, "a.npz");
      if (!members.ok() || members->size() != 1) return false;
      const auto packed = zip_packed_bytes(bytes, (*members)[0], "a.npz");
      if (!packed.ok()) return false;
      const auto content = zip_inflate(*packed, (*members)[0], "a.npz");
      return content.ok() && zip_check_crc(*content, (*members)[0], "a.npz").ok() &&
             *content == array;
    };
    ASSERT_TRUE(read(good));
    for_each_truncation(good, [&](std::string_view bytes) { EXPECT_FALSE(read(bytes)); });
    int refused = 0;
    for_each_flip(good, [&](std::string_view bytes, size_t) { refused += read(bytes) ? 0 : 1; });
    EXPECT_GT(refused, 200);
  }
}

TEST_F(NpzTest, SurvivesDamageToTheFile) {
  const std::string array = array_bytes();
  const std::string good = archive_of({"a.npy", 0, array, array});
  for_each_truncation(good, [&](std::string_view bytes) {
    EXPECT_FALSE(read_npz(write("a.npz", bytes)).ok()) << bytes.size();
  });
}

}  // namespace
}  // namespace fxq
