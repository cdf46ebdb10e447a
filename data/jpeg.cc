// libjpeg, set up as Pillow sets it up (slow integer IDCT, smooth upsampling). CMYK and YCCK
// pictures follow Adobe's habit of storing 255 - ink:  R = clip(K' - (255 - C') * K' / 255), as
// Pillow computes.

// jpeglib.h needs FILE and size_t before it.
// clang-format off
#include <cstdio>
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include <algorithm>
#include <csetjmp>

#include "fmt/format.h"
#include "fxq/base/status.h"
#include "fxq/data/codecs.h"

namespace fxq {
namespace {

struct ErrorExit {
  jpeg_error_mgr manager;  // first: libjpeg hands its address back
  jmp_buf target;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void leave(j_common_ptr info) {
  auto* error = reinterpret_cast<ErrorExit*>(info->err);
  info->err->format_message(info, error->message);
  longjmp(error->target, 1);
}

// Warnings that mean missing or damaged pixels end the decoding; harmless ones are ignored.
void on_message(j_common_ptr info, int level) {
  const int code = info->err->msg_code;
  const bool lost = code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER ||
                    code == JWRN_HUFF_BAD_CODE || code == JWRN_MUST_RESYNC;
  if (level < 0 && lost) leave(info);
}

// The library's state. Its functions are called only below a setjmp, in functions without objects
// whose destructors a longjmp would skip.
class JpegDecoder {
 public:
  JpegDecoder() {
    info_.err = jpeg_std_error(&error_.manager);
    error_.manager.error_exit = leave;
    error_.manager.emit_message = on_message;
  }
  ~JpegDecoder() { jpeg_destroy_decompress(&info_); }
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;

  bool start(std::string_view bytes) {
    if (setjmp(error_.target) != 0) return false;
    jpeg_create_decompress(&info_);
    jpeg_mem_src(&info_, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    jpeg_read_header(&info_, TRUE);
    if (info_.jpeg_color_space == JCS_GRAYSCALE) {
      info_.out_color_space = JCS_GRAYSCALE;
    } else if (info_.num_components == 4) {
      info_.out_color_space = JCS_CMYK;
    } else {
      info_.out_color_space = JCS_RGB;
    }
    jpeg_calc_output_dimensions(&info_);
    return true;
  }

  bool read_rows(uint8_t* pixels, size_t row_bytes) {
    if (setjmp(error_.target) != 0) return false;
    jpeg_start_decompress(&info_);
    while (info_.output_scanline < info_.output_height) {
      JSAMPROW row = pixels + info_.output_scanline * row_bytes;
      jpeg_read_scanlines(&info_, &row, 1);
    }
    jpeg_finish_decompress(&info_);
    return true;
  }

  const jpeg_decompress_struct& info() const { return info_; }
  const char* message() const { return error_.message; }

 private:
  jpeg_decompress_struct info_{};
  ErrorExit error_{};
};

int multiply_255(int a, int b) {
  const int product = a * b + 128;
  return ((product >> 8) + product) >> 8;
}

Image cmyk_to_rgb(const Image& cmyk) {
  Image rgb{cmyk.height, cmyk.width, 3, std::vector<uint8_t>(cmyk.pixels.size() / 4 * 3)};
  for (size_t i = 0; i < cmyk.pixels.size() / 4; ++i) {
    const uint8_t* inverted = &cmyk.pixels[4 * i];
    const int light = inverted[3];
    for (int c = 0; c < 3; ++c) {
      const int ink = 255 - inverted[c];
      rgb.pixels[3 * i + c] = static_cast<uint8_t>(std::max(0, light - multiply_255(ink, light)));
    }
  }
  return rgb;
}

}  // namespace

absl::StatusOr<Image> decode_jpeg(std::string_view bytes, std::string_view what) {
  JpegDecoder decoder;
  const auto damaged = [&] {
    return absl::DataLossError(
        fmt::format("{}: damaged or unsupported JPEG: {}", what, decoder.message()));
  };
  if (!decoder.start(bytes)) return damaged();
  FXQ_ASSIGN_OR_RETURN(Image image,
                       allocate_image(decoder.info().output_height, decoder.info().output_width,
                                      decoder.info().output_components, what));
  if (!decoder.read_rows(image.pixels.data(), image.row_bytes())) return damaged();
  if (image.channels == 4) return cmyk_to_rgb(image);
  return image;
}

}  // namespace fxq
