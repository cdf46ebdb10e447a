// Expected pixels and floats are those of Pillow 9.4 and torchvision 0.14 for the picture
//   a = (np.arange(7 * 5 * 3).reshape(7, 5, 3) * 37 % 256).astype("u1"); im = Image.fromarray(a)
#include "fxq/data/preprocess.h"

#include "fxq/data/resize.h"
#include "gmock/gmock.h"
#include "nlohmann/json.hpp"

namespace fxq {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

Image picture() {
  Image image{7, 5, 3, {}};
  for (int i = 0; i < 7 * 5 * 3; ++i) image.pixels.push_back(static_cast<uint8_t>(i * 37 % 256));
  return image;
}

std::vector<int> channel_0(const Image& image) {
  std::vector<int> values;
  for (size_t i = 0; i < image.pixels.size(); i += 3) values.push_back(image.pixels[i]);
  return values;
}

std::string problems_of(std::string_view block) {
  return std::string(parse_preprocess_text(block).status().message());
}

// np.asarray(im.resize((4, 3), Image.BILINEAR)).reshape(-1)
TEST(Resize, ShrinksAsPillow) {
  EXPECT_THAT(resize_bilinear(picture(), 3, 4).pixels,
              ElementsAre(65, 102, 125, 126, 125, 130, 106, 105, 142, 156, 110, 79, 138, 149, 159,
                          136, 111, 113, 151, 153, 128, 105, 115, 126, 117, 154, 108, 122, 121, 158,
                          134, 101, 138, 139, 162, 131));
}

// np.asarray(im.resize((5, 2), Image.BILINEAR)), then (2, 7)
TEST(Resize, ShrinksOneSideAsPillow) {
  EXPECT_THAT(resize_bilinear(picture(), 2, 5).pixels,
              ElementsAre(68, 105, 142, 161, 156, 128, 88, 71, 108, 145, 164, 159, 131, 91, 74, 136,
                          173, 133, 105, 100, 119, 156, 139, 176, 136, 108, 103, 122, 159, 142));
  EXPECT_THAT(resize_bilinear(picture(), 7, 2).pixels,
              ElementsAre(99, 78, 115, 147, 126, 81, 84, 121, 158, 132, 87, 124, 127, 164, 96, 93,
                          130, 156, 170, 102, 128, 136, 162, 94, 108, 134, 171, 168, 100, 137, 140,
                          177, 132, 106, 143, 180, 101, 80, 117, 149, 128, 83));
}

// np.asarray(im.resize((6, 9), Image.BILINEAR))[0].reshape(-1)
TEST(Resize, GrowsAsPillow) {
  const Image grown = resize_bilinear(picture(), 9, 6);
  EXPECT_THAT(
      std::vector<uint8_t>(grown.row(0), grown.row(1)),
      ElementsAre(0, 37, 74, 83, 120, 157, 176, 63, 100, 162, 49, 86, 105, 142, 115, 188, 225, 6));
}

TEST(Resize, KeepsPicturesOfTheSameSize) {
  EXPECT_EQ(resize_bilinear(picture(), 7, 5).pixels, picture().pixels);
}

// np.asarray(CenterCrop((9, 4))(im))[..., 0]: rounds 0.5 to 0 on the left, adds zeros above and
// below
TEST(Crop, CutsAndPadsAsTorchvision) {
  EXPECT_THAT(
      channel_0(center_crop(picture(), 9, 4)),
      ElementsAre(0, 0, 0, 0, 0, 111, 222, 77, 43, 154, 9, 120, 86, 197, 52, 163, 129, 240, 95, 206,
                  172, 27, 138, 249, 215, 70, 181, 36, 2, 113, 224, 79, 0, 0, 0, 0));
}

// Compose([Resize(4), CenterCrop((3, 4)), ToTensor(), Normalize(mean, std)])(im)[0].flatten()
TEST(Preprocess, EqualsTorchvision) {
  const auto block = parse_preprocess_text(R"({ // as torchvision's models need it
      "color": "RGB", "resize": 4, "crop": [3, 4], "scale": 0.00392156862745098,
      "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "layout": "NCHW"})");
  ASSERT_TRUE(block.ok()) << block.status();
  const auto tensor = preprocess_image(picture(), *block);
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_EQ(tensor->describe(), "f32[3,3,4]");
  const absl::Span<const float> values = tensor->data<float>();
  EXPECT_THAT(values.subspan(0, 12),
              ElementsAre(-0.4910523295402527F, -0.09718302637338638F, -0.4396780729293823F,
                          -0.0629335269331932F, 0.365185409784317F, 0.5021834373474121F,
                          0.6220567226409912F, -0.4568028450012207F, 0.5364329218864441F,
                          -0.542426586151123F, 0.5364329218864441F, 0.1254388839006424F));
  const std::vector<float> every_fifth = {-0x1.f6d66cp-2F, 0x1.011e3p-1F,  0x1.12a756p-1F,
                                          -0x1.8ce854p-1F, 0x1.535c82p+0F, 0x1.8680e4p-4F,
                                          0x1.0aa448p-3F,  0x1.241e7p+0F};
  for (size_t i = 0; i < every_fifth.size() && 5 * i < values.size(); ++i) {
    EXPECT_EQ(values[5 * i], every_fifth[i]) << i;
  }
}

TEST(Preprocess, OrdersChannels) {
  const Image image{1, 1, 3, {10, 20, 30}};
  const auto bgr = parse_preprocess_text(R"({"color": "BGR", "mean": [1, 2, 3], "std": 2})");
  ASSERT_TRUE(bgr.ok()) << bgr.status();
  EXPECT_THAT(preprocess_image(image, *bgr)->data<float>(), ElementsAre(14.5F, 9.0F, 3.5F));
  const auto gray = parse_preprocess_text(R"({"color": "GRAY"})");
  ASSERT_TRUE(gray.ok()) << gray.status();
  EXPECT_EQ(pixel_format(*gray), PixelFormat::kGray);
  EXPECT_EQ(preprocess_image(to_gray(image), *gray)->describe(), "f32[1,1,1]");
  EXPECT_THAT(std::string(preprocess_image(image, *gray).status().message()),
              HasSubstr("has 3 channels"));
}

TEST(Preprocess, ListsAllProblemsOfABlock) {
  EXPECT_EQ(problems_of(R"({"resise": 3, "color": "rgb", "crop": 0, "std": [1, 0, 1],
                            "mean": [1, 2], "layout": "NHWC", "scale": "x"})"),
            "preprocess:\n"
            "  color: got \"rgb\", needed \"RGB\", \"BGR\" or \"GRAY\"\n"
            "  crop: got 0, needed the side of a square or [height, width], 1 to 8192 pixels\n"
            "  layout: got \"NHWC\", needed \"NCHW\", the only layout\n"
            "  unknown key \"resise\"; did you mean \"resize\"?\n"
            "  scale: got \"x\", needed a finite number other than 0, such as 0.00392157 (1/255)\n"
            "  std: got 0, needed a finite number other than 0\n"
            "  mean: got 2 numbers, needed 1 or 3 (one per channel)");
}

TEST(Preprocess, RefusesOddValues) {
  for (std::string_view block :
       {R"({"resize": 1.5})", R"({"resize": [1]})", R"({"resize": -4})", R"({"resize": 1e30})",
        R"({"resize": 18446744073709551615})", R"({"crop": [1, 2, 3]})", R"({"mean": []})",
        R"({"mean": [[1]]})", R"({"std": null})", R"({"std": 1e-60})", R"({"scale": 1e-60})",
        R"([])", R"(3)", R"({"a": )", ""}) {
    EXPECT_FALSE(parse_preprocess_text(block).ok()) << block;
  }
}

TEST(Preprocess, RefusesToBlowUpNarrowPictures) {
  Image line{1, 60000, 1, std::vector<uint8_t>(60000)};
  Preprocess preprocess;
  preprocess.color = ColorOrder::kGray;
  preprocess.resize = ResizeTo{256};
  EXPECT_THAT(std::string(preprocess_image(line, preprocess).status().message()),
              HasSubstr("resize 256 makes more than"));
}

}  // namespace
}  // namespace fxq
