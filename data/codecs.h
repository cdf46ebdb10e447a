// The two decoders behind image.h, each the only file that sees its C library. They return grey or
// RGB as the picture is stored; image.cc converts. The C libraries' error exits (longjmp) stay
// inside their file.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "fxq/data/image.h"

namespace fxq {

absl::StatusOr<Image> decode_jpeg(std::string_view bytes, std::string_view what);
absl::StatusOr<Image> decode_png(std::string_view bytes, std::string_view what);

// An Image with its memory; InvalidArgument if it has no pixels or more than kMaxPixels.
absl::StatusOr<Image> allocate_image(int64_t height, int64_t width, int channels,
                                     std::string_view what);

}  // namespace fxq
