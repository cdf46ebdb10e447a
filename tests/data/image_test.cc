// Decoding and preprocessing against Pillow's results.
#include "fxq/data/image.h"

#include <png.h>

#include <cstdlib>

#include "encode.h"
#include "gmock/gmock.h"
#include "test_files.h"

namespace fxq {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

class ImageTest : public FileTest {};

Image decoded(const std::string& bytes, PixelFormat format = PixelFormat::kRgb) {
  auto image = decode_image(bytes, format, "picture");
  EXPECT_TRUE(image.ok()) << image.status();
  return image.ok() ? *std::move(image) : Image{};
}

int largest_difference(const Image& image, const std::vector<uint8_t>& expected) {
  EXPECT_EQ(image.pixels.size(), expected.size());
  int largest = 0;
  for (size_t i = 0; i < std::min(expected.size(), image.pixels.size()); ++i) {
    largest = std::max(largest, std::abs(image.pixels[i] - expected[i]));
  }
  return largest;
}

TEST_F(ImageTest, DecodesJpeg) {
  for (bool progressive : {false, true}) {
    const std::vector<uint8_t> samples = gradient(19, 13, 3);
    const Image image = decoded(encode_jpeg({19, 13, JpegSpace::kRgb, progressive}, samples));
    EXPECT_EQ(image.width, 19);
    EXPECT_EQ(image.height, 13);
    EXPECT_EQ(image.channels, 3);
    EXPECT_LE(largest_difference(image, samples), 3);
  }
}

TEST_F(ImageTest, DecodesGrayJpegAsEitherFormat) {
  const std::vector<uint8_t> samples = gradient(10, 6, 1);
  const std::string bytes = encode_jpeg({10, 6, JpegSpace::kGray}, samples);
  const Image gray = decoded(bytes, PixelFormat::kGray);
  EXPECT_LE(largest_difference(gray, samples), 1);
  EXPECT_EQ(decoded(bytes).pixels, to_rgb(gray).pixels);
}

// Adobe stores 255 - ink: 255, 255, 255, 255 is white paper, and K = 0 is black whatever else.
TEST_F(ImageTest, DecodesCmykJpeg) {
  std::vector<uint8_t> samples;
  for (int i = 0; i < 64; ++i) samples.insert(samples.end(), {255, 0, 128, 255});
  const Image image = decoded(encode_jpeg({8, 8, JpegSpace::kCmyk}, samples));
  ASSERT_EQ(image.channels, 3);
  EXPECT_LE(std::abs(image.pixels[0] - 255), 1);
  EXPECT_LE(image.pixels[1], 1);
  EXPECT_LE(std::abs(image.pixels[2] - 128), 1);
  const std::vector<uint8_t> black(256, 0);
  EXPECT_LE(decoded(encode_jpeg({8, 8, JpegSpace::kCmyk}, black)).pixels[0], 1);
}

TEST_F(ImageTest, DecodesEveryKindOfPng) {
  const std::vector<uint8_t> rgb = gradient(5, 4, 3);
  EXPECT_EQ(decoded(encode_png({5, 4, PNG_COLOR_TYPE_RGB}, rgb)).pixels, rgb);
  EXPECT_EQ(decoded(encode_png({5, 4, PNG_COLOR_TYPE_RGB, 8, true}, rgb)).pixels, rgb);
  EXPECT_THAT(decoded(encode_png({1, 1, PNG_COLOR_TYPE_RGBA}, {1, 2, 3, 0})).pixels,
              ElementsAre(1, 2, 3));
  EXPECT_THAT(decoded(encode_png({1, 1, PNG_COLOR_TYPE_GRAY_ALPHA}, {9, 7})).pixels,
              ElementsAre(9, 9, 9));
  EXPECT_THAT(
      decoded(encode_png({2, 1, PNG_COLOR_TYPE_GRAY, 16}, {1, 200, 2, 100}), PixelFormat::kGray)
          .pixels,
      ElementsAre(1, 2));
  EXPECT_THAT(
      decoded(encode_png({8, 1, PNG_COLOR_TYPE_GRAY, 1}, {0b10100001}), PixelFormat::kGray).pixels,
      ElementsAre(255, 0, 255, 0, 0, 0, 0, 255));
  EXPECT_THAT(
      decoded(encode_png({2, 1, PNG_COLOR_TYPE_PALETTE, 8, false, {7, 8, 9, 1, 2, 3}}, {1, 0}))
          .pixels,
      ElementsAre(1, 2, 3, 7, 8, 9));
}

// PIL.Image.new("RGB", ...).convert("L")
TEST_F(ImageTest, ConvertsToGrayAsPillow) {
  const Image rgb{1, 4, 3, {255, 0, 0, 0, 255, 0, 0, 0, 255, 12, 200, 99}};
  EXPECT_THAT(to_gray(rgb).pixels, ElementsAre(76, 150, 29, 132));
}

TEST_F(ImageTest, KnowsFilesByContentAndFoldersByName) {
  const std::string file = write("really.jpg", encode_png({1, 1, PNG_COLOR_TYPE_GRAY}, {5}));
  const auto image = read_image(file, PixelFormat::kGray);
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_THAT(image->pixels, ElementsAre(5));
  EXPECT_TRUE(has_image_extension("a/B.JPEG"));
  EXPECT_FALSE(has_image_extension("a/b.jpg.txt"));
  EXPECT_FALSE(has_image_extension(".png"));
}

TEST_F(ImageTest, NamesWhatIsNoPicture) {
  const auto text = read_image(write("a.png", "hello"), PixelFormat::kRgb);
  EXPECT_THAT(std::string(text.status().message()), HasSubstr("a.png: neither a JPEG nor a PNG"));
  EXPECT_EQ(read_image(path("none.png"), PixelFormat::kRgb).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(read_image(path(""), PixelFormat::kRgb).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(ImageTest, RefusesBombs) {
  std::string bytes = encode_jpeg({8, 8, JpegSpace::kRgb}, gradient(8, 8, 3));
  const size_t frame = bytes.find("\xff\xc0");
  ASSERT_NE(frame, std::string::npos);
  bytes.replace(frame + 5, 4, "\xff\x00\xff\x00", 4);  // height and width 65280
  EXPECT_THAT(std::string(decode_image(bytes, PixelFormat::kRgb, "b").status().message()),
              HasSubstr("65280 x 65280 pixels"));
}

TEST_F(ImageTest, RefusesEveryTruncation) {
  const std::vector<uint8_t> samples = gradient(16, 16, 3);
  const std::string png = encode_png({16, 16, PNG_COLOR_TYPE_RGB}, samples);
  const std::string interlaced = encode_png({16, 16, PNG_COLOR_TYPE_RGB, 8, true}, samples);
  for (const std::string& bytes : {png, interlaced}) {
    for_each_truncation(bytes, [](std::string_view part) {
      EXPECT_FALSE(decode_image(part, PixelFormat::kRgb, "part").ok()) << part.size();
    });
  }
  for (bool progressive : {false, true}) {
    const std::string jpeg = encode_jpeg({16, 16, JpegSpace::kRgb, progressive}, samples);
    // Only the end marker may be missing: all pixels are there.
    for_each_truncation(jpeg.substr(0, jpeg.size() - 2), [](std::string_view part) {
      EXPECT_FALSE(decode_image(part, PixelFormat::kRgb, "part").ok()) << part.size();
    });
  }
}

TEST_F(ImageTest, SurvivesEveryFlip) {
  const std::vector<uint8_t> samples = gradient(8, 8, 3);
  const std::string png = encode_png({8, 8, PNG_COLOR_TYPE_RGB}, samples);
  // Every chunk of this file has a checksum and is needed.
  for_each_flip(png, [&](std::string_view bytes, size_t offset) {
    const auto image = decode_image(bytes, PixelFormat::kRgb, "flipped");
    if (image.ok()) {
      EXPECT_THAT(image->pixels, ElementsAreArray(samples)) << offset;
    }
  });
  const std::string jpeg = encode_jpeg({8, 8, JpegSpace::kRgb}, samples);
  int refused = 0;
  for_each_flip(jpeg, [&](std::string_view bytes, size_t) {
    const auto image = decode_image(bytes, PixelFormat::kRgb, "flipped");
    refused += image.ok() ? 0 : 1;
  });
  EXPECT_GT(refused, 100);
}

}  // namespace
}  // namespace fxq
