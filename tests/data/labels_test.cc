// Label files of every integer type.
#include "fxq/data/labels.h"

#include "fxq/data/npy.h"
#include "gmock/gmock.h"
#include "test_files.h"

namespace fxq {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class LabelsTest : public FileTest {
 protected:
  std::string message(const std::string& file) const {
    return std::string(read_labels(file).status().message());
  }
};

TEST_F(LabelsTest, ReadsEveryIntegerType) {
  ASSERT_TRUE(write_npy(path("a.npy"), make_tensor<int8_t>(DType::kI8, {2}, {-1, 5})).ok());
  EXPECT_THAT(read_labels(path("a.npy")).value(), ElementsAre(-1, 5));
  ASSERT_TRUE(write_npy(path("a.npy"), make_tensor<uint8_t>(DType::kU8, {2, 1}, {200, 5})).ok());
  EXPECT_THAT(read_labels(path("a.npy")).value(), ElementsAre(200, 5));
  ASSERT_TRUE(write_npy(path("a.npy"), make_tensor<int64_t>(DType::kI64, {1}, {1LL << 40})).ok());
  EXPECT_THAT(read_labels(path("a.npy")).value(), ElementsAre(1LL << 40));
}

TEST_F(LabelsTest, ReadsColumns) {
  EXPECT_THAT(read_labels(write("a.csv", "label\r\n3\r\n\r\n 1 \n2")).value(),
              ElementsAre(3, 1, 2));
  EXPECT_THAT(read_labels(write("a.txt", "3\n1")).value(), ElementsAre(3, 1));
}

TEST_F(LabelsTest, NamesWhatIsWrong) {
  EXPECT_THAT(message(write("a.csv", "label\n3\nx\n4.5\n")),
              HasSubstr("one integer per line:\n  line 3: \"x\"\n  line 4: \"4.5\""));
  EXPECT_THAT(message(write("a.csv", "label\n")), HasSubstr("no labels"));
  EXPECT_THAT(message(write("a.csv", "1\n99999999999999999999\n")), HasSubstr("line 2"));
  EXPECT_THAT(message(write("a.bin", "1")), HasSubstr("unknown kind of labels"));
  ASSERT_TRUE(write_npy(path("f.npy"), HostTensor(DType::kF32, {2})).ok());
  EXPECT_THAT(message(path("f.npy")), HasSubstr("labels are f32[2], needed are integers"));
  ASSERT_TRUE(write_npy(path("m.npy"), HostTensor(DType::kI64, {2, 10})).ok());
  EXPECT_THAT(message(path("m.npy")), HasSubstr("one class index per sample"));
}

}  // namespace
}  // namespace fxq
