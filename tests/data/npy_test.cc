// NumPy's own format, all versions and orders; damaged files.
#include "fxq/data/npy.h"

#include <cstring>

#include "fmt/format.h"
#include "fxq/base/file.h"
#include "gmock/gmock.h"
#include "test_files.h"

namespace fxq {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class NpyTest : public FileTest {};

// A .npy file spelled out: `dict` as the header's text.
std::string npy(std::string_view dict, std::string_view elements, int version = 1) {
  std::string bytes = "\x93NUMPY";
  bytes.push_back(static_cast<char>(version));
  bytes.push_back('\0');
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) {
    bytes.push_back(static_cast<char>(dict.size() >> (8 * i) & 0xff));
  }
  return bytes.append(dict).append(elements);
}

std::string floats(const std::vector<float>& values) {
  std::string bytes(values.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

constexpr std::string_view kDict =
    "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }     \n";

std::string error_for(std::string_view dict, std::string_view elements = "") {
  return std::string(parse_npy(npy(dict, elements), "a.npy", nullptr).status().message());
}

TEST_F(NpyTest, ReadsEveryVersion) {
  for (int version : {1, 2, 3}) {
    const auto tensor = read_npy(write("a.npy", npy(kDict, floats({1, 2, 3, 4, 5, 6}), version)));
    ASSERT_TRUE(tensor.ok()) << tensor.status();
    EXPECT_EQ(tensor->describe(), "f32[2,3]");
    EXPECT_THAT(values_of<float>(*tensor), ElementsAre(1, 2, 3, 4, 5, 6));
  }
}

TEST_F(NpyTest, ReordersFortranArrays) {
  const std::string dict = R"({"shape": (2L,3L), "fortran_order": True, "descr": "=f4"})";
  const auto tensor = parse_npy(npy(dict, floats({1, 4, 2, 5, 3, 6})), "a", nullptr);
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_THAT(values_of<float>(*tensor), ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST_F(NpyTest, ReordersFortranArraysOfRankThree) {
  const std::string dict = "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 1, 3)}";
  const std::string elements{"\x00\x03\x01\x04\x02\x05", 6};
  const auto tensor = parse_npy(npy(dict, elements), "a", nullptr);
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_THAT(values_of<uint8_t>(*tensor), ElementsAre(0, 1, 2, 3, 4, 5));
}

TEST_F(NpyTest, RoundTripsEveryTypeAndRank) {
  const std::vector<std::vector<int64_t>> shapes = {{}, {5}, {2, 3}, {0, 4}, {2, 1, 3, 2}};
  for (int i = 0; i < kDTypeCount; ++i) {
    const auto dtype = static_cast<DType>(i);
    if (dtype == DType::kBF16) continue;
    for (const std::vector<int64_t>& dims : shapes) {
      HostTensor tensor(dtype, dims);
      for (size_t b = 0; b < tensor.byte_size(); ++b) {
        tensor.mutable_bytes()[b] = static_cast<std::byte>(dtype == DType::kBool ? b % 2 : b + 1);
      }
      ASSERT_TRUE(write_npy(path("t.npy"), tensor).ok());
      const auto back = read_npy(path("t.npy"));
      ASSERT_TRUE(back.ok()) << back.status();
      EXPECT_EQ(back->describe(), tensor.describe());
      EXPECT_EQ(std::memcmp(back->bytes(), tensor.bytes(), tensor.byte_size()), 0);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(back->bytes()) % 64, 0U);
    }
  }
}

TEST_F(NpyTest, WritesWhatNumPyWrites) {
  ASSERT_TRUE(write_npy(path("t.npy"), HostTensor(DType::kI64, {3})).ok());
  std::string expected =
      npy("{'descr': '<i8', 'fortran_order': False, 'shape': (3,), }" + std::string(60, ' ') + "\n",
          std::string(24, '\0'));
  expected[8] = 118;  // numpy.save(f, numpy.zeros(3, 'i8')) pads to 128 bytes
  EXPECT_EQ(read_file(path("t.npy")).value(), expected);
}

TEST_F(NpyTest, RefusesTypesWithAdvice) {
  const auto dict = [](std::string_view descr) {
    return fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': (2,)}}", descr);
  };
  EXPECT_THAT(error_for(dict(">f4")), HasSubstr("big-endian; save it little-endian: "
                                                "np.save(path, a.astype('<f4'))"));
  EXPECT_THAT(error_for(dict("<u2")), HasSubstr("save it as int64"));
  EXPECT_THAT(error_for(dict("|O")), HasSubstr("Python object array"));
  EXPECT_THAT(error_for(dict("<c8")), HasSubstr("complex"));
  EXPECT_THAT(error_for(dict("<U3")), HasSubstr("text"));
  EXPECT_THAT(error_for(dict("")), HasSubstr("element type ''"));
  EXPECT_THAT(error_for("{'descr': [('a', [('b', '<f4')])], 'fortran_order': False, 'shape': ()}"),
              HasSubstr("structured"));
}

TEST_F(NpyTest, RefusesBadHeaders) {
  const std::string head = "{'descr': '<f4', 'fortran_order': False, 'shape': ";
  EXPECT_THAT(error_for(head + "(-1,)}"),
              HasSubstr("expected a non-negative dimension at byte 51"));
  EXPECT_THAT(error_for(head + "(9223372036854775808,)}"), HasSubstr("below 2^63"));
  EXPECT_THAT(error_for(head + "(4611686018427387904, 4)}"), HasSubstr("larger than any memory"));
  EXPECT_THAT(error_for(head + "(0, 4611686018427387904, 4)}"),
              HasSubstr("larger than any memory"));
  EXPECT_THAT(error_for(head + "(2,), 'shape': (3,)}"), HasSubstr("each key once"));
  EXPECT_THAT(error_for(head + "(2,), 'extra': 1}"), HasSubstr("the key descr"));
  EXPECT_THAT(error_for("{'descr': '<f4'}"), HasSubstr("descr, fortran_order and shape"));
  EXPECT_THAT(error_for(head + "(2,)}", floats({1})),
              HasSubstr("f32[2] needs 8 bytes, 4 are there"));
  EXPECT_THAT(error_for(head + "(1,)}", floats({1, 2})),
              HasSubstr("f32[1] needs 4 bytes, 8 are there"));
  EXPECT_THAT(std::string(parse_npy("PK\3\4", "a.npy", nullptr).status().message()),
              HasSubstr("not a .npy file"));
}

TEST_F(NpyTest, RefusesBooleansOtherThanZeroAndOne) {
  EXPECT_THAT(error_for("{'descr': '|b1', 'fortran_order': False, 'shape': (2,)}", "\x01\x02"),
              HasSubstr("boolean 1 has the value 2"));
}

TEST_F(NpyTest, RefusesToWriteBfloat16AndIntoNowhere) {
  const auto status = write_npy(path("t.npy"), HostTensor(DType::kBF16, {1}));
  EXPECT_THAT(std::string(status.message()), HasSubstr("NumPy has no type for bf16"));
  EXPECT_FALSE(std::filesystem::exists(path("t.npy")));
  EXPECT_FALSE(write_npy(path("missing/t.npy"), HostTensor(DType::kF32, {1})).ok());
}

TEST_F(NpyTest, SurvivesDamage) {
  const std::string good = npy(kDict, floats({1, 2, 3, 4, 5, 6}));
  for_each_truncation(good, [](std::string_view bytes) {
    EXPECT_FALSE(parse_npy(bytes, "a.npy", nullptr).ok()) << bytes.size();
  });
  int refused = 0;
  for_each_flip(good, [&](std::string_view bytes, size_t) {
    refused += parse_npy(bytes, "a.npy", nullptr).ok() ? 0 : 1;
  });
  EXPECT_GT(refused, 100);  // changes of elements, spaces and of the minor version are valid files
}

}  // namespace
}  // namespace fxq
