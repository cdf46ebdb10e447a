// libpng with these transforms: palette and 1, 2, 4 bits -> 8 bits, 16 bits -> high byte, alpha
// dropped (not blended), interlaced pictures whole. What comes out is grey or RGB.
#include <png.h>

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <vector>

#include "fmt/format.h"
#include "fxq/base/status.h"
#include "fxq/data/codecs.h"

namespace fxq {
namespace {

// The library's state. Its functions are called only below a setjmp, in functions without objects
// whose destructors a longjmp would skip.
class PngDecoder {
 public:
  explicit PngDecoder(std::string_view bytes) : left_(bytes) {}
  ~PngDecoder() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngDecoder(const PngDecoder&) = delete;
  PngDecoder& operator=(const PngDecoder&) = delete;

  bool start() {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
    info_ = png_ == nullptr ? nullptr : png_create_info_struct(png_);
    if (info_ == nullptr) return false;
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_set_read_fn(png_, this, on_read);
    png_read_info(png_, info_);
    png_set_expand(png_);
    png_set_strip_16(png_);
    png_set_strip_alpha(png_);
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    return true;
  }

  bool read_rows(png_bytep* rows) {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_read_image(png_, rows);
    png_read_end(png_, nullptr);
    return true;
  }

  int64_t height() const { return png_get_image_height(png_, info_); }
  int64_t width() const { return png_get_image_width(png_, info_); }
  int channels() const { return png_get_channels(png_, info_); }
  size_t row_bytes() const { return png_get_rowbytes(png_, info_); }
  const char* message() const { return message_; }

 private:
  [[noreturn]] static void on_error(png_structp png, png_const_charp message) {
    auto* self = static_cast<PngDecoder*>(png_get_error_ptr(png));
    std::snprintf(self->message_, sizeof(self->message_), "%s", message);
    png_longjmp(png, 1);
  }

  static void on_warning(png_structp, png_const_charp) {}

  static void on_read(png_structp png, png_bytep out, size_t size) {
    auto* self = static_cast<PngDecoder*>(png_get_io_ptr(png));
    if (size > self->left_.size()) png_error(png, "the file ends too early");
    std::memcpy(out, self->left_.data(), size);
    self->left_.remove_prefix(size);
  }

  std::string_view left_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  char message_[128] = "libpng could not start";
};

}  // namespace

absl::StatusOr<Image> decode_png(std::string_view bytes, std::string_view what) {
  PngDecoder decoder(bytes);
  const auto damaged = [&] {
    return absl::DataLossError(fmt::format("{}: damaged PNG: {}", what, decoder.message()));
  };
  if (!decoder.start()) return damaged();
  FXQ_ASSIGN_OR_RETURN(Image image,
                       allocate_image(decoder.height(), decoder.width(), decoder.channels(), what));
  if (decoder.row_bytes() != image.row_bytes()) {
    return absl::InternalError(fmt::format("{}: libpng gives {} bytes a row, {} were expected",
                                           what, decoder.row_bytes(), image.row_bytes()));
  }
  std::vector<png_bytep> rows(image.height);
  for (int y = 0; y < image.height; ++y) rows[y] = image.row(y);
  if (!decoder.read_rows(rows.data())) return damaged();
  return image;
}

}  // namespace fxq
