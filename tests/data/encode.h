// Pictures made for tests: JPEG by libjpeg, PNG by libpng, in memory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fxq {

enum class JpegSpace { kGray, kRgb, kCmyk };

struct JpegSpec {
  int width = 0;
  int height = 0;
  JpegSpace space = JpegSpace::kRgb;
  bool progressive = false;
};

// `samples` are width x height x (1, 3 or 4); quality 100 without chroma subsampling.
std::string encode_jpeg(const JpegSpec& spec, const std::vector<uint8_t>& samples);

struct PngSpec {
  int width = 0;
  int height = 0;
  int color_type = 0;  // PNG_COLOR_TYPE_*
  int bits = 8;
  bool interlaced = false;
  std::vector<uint8_t> palette;  // R, G, B, ...
};

// `rows` are the picture's bytes as PNG stores them (16-bit samples high byte first).
std::string encode_png(const PngSpec& spec, const std::vector<uint8_t>& rows);

// A smooth picture with some structure: value(x, y, c).
std::vector<uint8_t> gradient(int width, int height, int channels);

}  // namespace fxq
