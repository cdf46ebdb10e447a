// magic bytes -> decoder -> grey or RGB as stored -> the format that was asked for.
#include "fxq/data/image.h"

#include <cctype>

#include "fmt/format.h"
#include "fxq/base/mapped_file.h"
#include "fxq/base/status.h"
#include "fxq/data/codecs.h"

namespace fxq {
namespace {

constexpr std::string_view kJpegMagic{"\xff\xd8\xff", 3};
constexpr std::string_view kPngMagic{"\x89PNG\r\n\x1a\n", 8};

absl::StatusOr<Image> decode_as_stored(std::string_view bytes, std::string_view what) {
  if (bytes.substr(0, kJpegMagic.size()) == kJpegMagic) return decode_jpeg(bytes, what);
  if (bytes.substr(0, kPngMagic.size()) == kPngMagic) return decode_png(bytes, what);
  return absl::InvalidArgumentError(
      fmt::format("{}: neither a JPEG nor a PNG picture (by its first bytes){}", what,
                  bytes.empty() ? ": it is empty" : ""));
}

}  // namespace

absl::StatusOr<Image> allocate_image(int64_t height, int64_t width, int channels,
                                     std::string_view what) {
  if (height < 1 || width < 1 || height > kMaxPixels / width) {
    return absl::InvalidArgumentError(
        fmt::format("{}: a picture of {} x {} pixels; readable are 1 to {} pixels", what, width,
                    height, kMaxPixels));
  }
  Image image{static_cast<int>(height), static_cast<int>(width), channels, {}};
  image.pixels.resize(image.row_bytes() * height);
  return image;
}

absl::StatusOr<Image> decode_image(std::string_view bytes, PixelFormat format,
                                   std::string_view what) {
  FXQ_ASSIGN_OR_RETURN(Image image, decode_as_stored(bytes, what));
  if (format == PixelFormat::kGray && image.channels == 3) return to_gray(image);
  if (format == PixelFormat::kRgb && image.channels == 1) return to_rgb(image);
  return image;
}

absl::StatusOr<Image> read_image(const std::string& path, PixelFormat format) {
  FXQ_ASSIGN_OR_RETURN(std::shared_ptr<const MappedFile> file, MappedFile::open(path));
  return decode_image(file->text(), format, path);
}

bool has_image_extension(std::string_view path) {
  for (std::string_view extension : {".jpg", ".jpeg", ".png"}) {
    if (path.size() <= extension.size()) continue;
    std::string end(path.substr(path.size() - extension.size()));
    for (char& c : end) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (end == extension) return true;
  }
  return false;
}

Image to_gray(const Image& rgb) {
  Image gray{rgb.height, rgb.width, 1, std::vector<uint8_t>(rgb.pixels.size() / 3)};
  for (size_t i = 0; i < gray.pixels.size(); ++i) {
    const uint8_t* p = &rgb.pixels[3 * i];
    gray.pixels[i] =
        static_cast<uint8_t>((p[0] * 19595 + p[1] * 38470 + p[2] * 7471 + 0x8000) >> 16);
  }
  return gray;
}

Image to_rgb(const Image& gray) {
  Image rgb{gray.height, gray.width, 3, {}};
  rgb.pixels.reserve(gray.pixels.size() * 3);
  for (uint8_t value : gray.pixels) rgb.pixels.insert(rgb.pixels.end(), 3, value);
  return rgb;
}

}  // namespace fxq
