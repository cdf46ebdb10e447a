// color -> resize -> crop -> for each channel a table of its 256 possible values -> CHW.
#include "fxq/data/preprocess.h"

#include <algorithm>
#include <array>

#include "fmt/format.h"
#include "fxq/data/resize.h"

namespace fxq {
namespace {

// torchvision: the longer side is int(shorter * long / short).
Image resize(const Image& image, const ResizeTo& to) {
  if (!to.shorter.has_value()) return resize_bilinear(image, to.height, to.width);
  const int64_t target = *to.shorter;
  const int64_t shorter = std::min(image.height, image.width);
  const auto height = static_cast<int>(target * image.height / shorter);
  const auto width = static_cast<int>(target * image.width / shorter);
  return resize_bilinear(image, height, width);
}

absl::Status check_result_size(const Image& image, const ResizeTo& to) {
  if (!to.shorter.has_value()) return absl::OkStatus();
  const int64_t longer = std::max(image.height, image.width);
  const int64_t shorter = std::min(image.height, image.width);
  const int64_t target = *to.shorter;
  if (target * target <= kMaxPixels * shorter / longer) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("resize {} makes more than {} pixels of a picture of {} x {}; crop it or give "
                  "resize as [height, width]",
                  target, kMaxPixels, image.width, image.height));
}

double at(const std::vector<double>& values, int channel, double missing) {
  if (values.empty()) return missing;
  return values.size() == 1 ? values[0] : values[channel];
}

// float32 as ToTensor and Normalize compute: one rounding each for scale, subtract and divide.
std::array<float, 256> value_table(const Preprocess& preprocess, int channel) {
  const auto mean = static_cast<float>(at(preprocess.mean, channel, 0.0));
  const auto deviation = static_cast<float>(at(preprocess.std, channel, 1.0));
  std::array<float, 256> table{};
  for (int pixel = 0; pixel < 256; ++pixel) {
    const auto scaled = static_cast<float>(pixel * preprocess.scale);
    table[pixel] = (scaled - mean) / deviation;
  }
  return table;
}

HostTensor to_tensor(const Image& image, const Preprocess& preprocess) {
  const int channels = preprocess.channels();
  HostTensor tensor(DType::kF32, {channels, image.height, image.width});
  float* out = tensor.mutable_data<float>().data();
  const size_t plane = static_cast<size_t>(image.height) * image.width;
  for (int c = 0; c < channels; ++c) {
    const std::array<float, 256> table = value_table(preprocess, c);
    const int source = preprocess.color == ColorOrder::kBgr ? 2 - c : c;
    const uint8_t* in = image.pixels.data() + source;
    for (size_t i = 0; i < plane; ++i) *out++ = table[in[i * channels]];
  }
  return tensor;
}

}  // namespace

PixelFormat pixel_format(const Preprocess& preprocess) {
  return preprocess.color == ColorOrder::kGray ? PixelFormat::kGray : PixelFormat::kRgb;
}

absl::StatusOr<HostTensor> preprocess_image(const Image& image, const Preprocess& preprocess) {
  if (image.channels != preprocess.channels()) {
    return absl::InvalidArgumentError(
        fmt::format("the picture has {} channels, color needs {}; read it with pixel_format()",
                    image.channels, preprocess.channels()));
  }
  Image current = image;
  if (preprocess.resize.has_value()) {
    if (absl::Status status = check_result_size(image, *preprocess.resize); !status.ok()) {
      return status;
    }
    current = resize(current, *preprocess.resize);
  }
  if (preprocess.crop.has_value()) {
    current = center_crop(current, preprocess.crop->height, preprocess.crop->width);
  }
  return to_tensor(current, preprocess);
}

}  // namespace fxq
