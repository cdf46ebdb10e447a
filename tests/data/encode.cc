// The encoders' own error handlers end the test process: their input is the test's.
#include "encode.h"

// jpeglib.h needs FILE and size_t before it.
// clang-format off
#include <cstdio>
#include <jpeglib.h>
#include <png.h>
// clang-format on

#include <cstdlib>

namespace fxq {

std::string encode_jpeg(const JpegSpec& spec, const std::vector<uint8_t>& samples) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &buffer, &size);
  info.image_width = spec.width;
  info.image_height = spec.height;
  info.input_components = spec.space == JpegSpace::kGray  ? 1
                          : spec.space == JpegSpace::kRgb ? 3
                                                          : 4;
  info.in_color_space = spec.space == JpegSpace::kGray  ? JCS_GRAYSCALE
                        : spec.space == JpegSpace::kRgb ? JCS_RGB
                                                        : JCS_CMYK;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, 100, TRUE);
  for (int c = 0; c < info.num_components; ++c) {
    info.comp_info[c].h_samp_factor = info.comp_info[c].v_samp_factor = 1;
  }
  if (spec.progressive) jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  while (info.next_scanline < info.image_height) {
    auto* row = const_cast<JSAMPROW>(
        &samples[info.next_scanline * spec.width * static_cast<size_t>(info.input_components)]);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  std::string bytes(reinterpret_cast<char*>(buffer), size);
  jpeg_destroy_compress(&info);
  std::free(buffer);
  return bytes;
}

std::string encode_png(const PngSpec& spec, const std::vector<uint8_t>& rows) {
  std::string bytes;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &bytes,
      [](png_structp p, png_bytep data, size_t size) {
        static_cast<std::string*>(png_get_io_ptr(p))->append(reinterpret_cast<char*>(data), size);
      },
      nullptr);
  png_set_IHDR(png, info, spec.width, spec.height, spec.bits, spec.color_type,
               spec.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  std::vector<png_color> colors;
  for (size_t i = 0; i + 2 < spec.palette.size(); i += 3) {
    colors.push_back({spec.palette[i], spec.palette[i + 1], spec.palette[i + 2]});
  }
  if (!colors.empty()) png_set_PLTE(png, info, colors.data(), static_cast<int>(colors.size()));
  png_write_info(png, info);
  std::vector<png_bytep> pointers;
  for (int y = 0; y < spec.height; ++y) {
    pointers.push_back(const_cast<png_bytep>(&rows[y * rows.size() / spec.height]));
  }
  png_write_image(png, pointers.data());
  png_write_end(png, nullptr);
  png_destroy_write_struct(&png, &info);
  return bytes;
}

std::vector<uint8_t> gradient(int width, int height, int channels) {
  std::vector<uint8_t> samples;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < channels; ++c) {
        samples.push_back(static_cast<uint8_t>(20 + 5 * x + 4 * y * (c + 1) + 30 * c));
      }
    }
  }
  return samples;
}

}  // namespace fxq
