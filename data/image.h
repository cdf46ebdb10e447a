// Decoded pictures: 8-bit pixels, height x width x channels, channels 3 (RGB) or 1 (grey). JPEG and
// PNG, recognised by content. Pixels equal Pillow's `Image.open(f).convert("RGB" or "L")`: alpha is
// dropped, 16-bit samples keep their high byte, EXIF orientation is not applied. Damaged or
// truncated pictures are DataLoss, never partly grey ones.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace fxq {

enum class PixelFormat { kRgb, kGray };

struct Image {
  int height = 0;
  int width = 0;
  int channels = 0;
  std::vector<uint8_t> pixels;

  size_t row_bytes() const { return static_cast<size_t>(width) * channels; }
  const uint8_t* row(int y) const { return pixels.data() + y * row_bytes(); }
  uint8_t* row(int y) { return pixels.data() + y * row_bytes(); }
};

// Larger pictures are refused before memory is taken (Pillow's limit against bombs).
inline constexpr int64_t kMaxPixels = 178956970;

// `what` names the bytes in errors.
absl::StatusOr<Image> decode_image(std::string_view bytes, PixelFormat format,
                                   std::string_view what);

absl::StatusOr<Image> read_image(const std::string& path, PixelFormat format);

// By the file name's ending: .jpg, .jpeg or .png, in any case.
bool has_image_extension(std::string_view path);

// As Pillow converts to "L": L = (19595 R + 38470 G + 7471 B + 2^15) / 2^16.
Image to_gray(const Image& rgb);
Image to_rgb(const Image& gray);

}  // namespace fxq
