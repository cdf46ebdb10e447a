// Preprocess: how a picture becomes a network's input, as the JSON block
//   {"color": "RGB", "resize": 256, "crop": 224, "scale": 0.00392157, "mean": [...], "std": [...]}
// says: color, resize, crop, then (pixel * scale - mean) / std, as f32 [channels, height, width].
// A plain value; the steps equal torchvision's Resize, CenterCrop, ToTensor, Normalize.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/base/host_tensor.h"
#include "fxq/data/image.h"
#include "nlohmann/json_fwd.hpp"

namespace fxq {

enum class ColorOrder { kRgb, kBgr, kGray };

// Either the shorter side (the other keeps the aspect) or both sides.
struct ResizeTo {
  std::optional<int> shorter;
  int height = 0;
  int width = 0;
};

struct CropTo {
  int height = 0;
  int width = 0;
};

struct Preprocess {
  ColorOrder color = ColorOrder::kRgb;
  std::optional<ResizeTo> resize;
  std::optional<CropTo> crop;  // the centre
  double scale = 1.0;
  std::vector<double> mean;  // empty (0), one for all, or one per channel in output order
  std::vector<double> std;   // empty (1), one for all, or one per channel in output order

  int channels() const { return color == ColorOrder::kGray ? 1 : 3; }
};

// All problems of the block at once: unknown keys (with the nearest known), wrong types and values.
absl::StatusOr<Preprocess> parse_preprocess(const nlohmann::json& block);
// The block as text; // comments are allowed.
absl::StatusOr<Preprocess> parse_preprocess_text(std::string_view text);

// f32 [channels, height, width].
absl::StatusOr<HostTensor> preprocess_image(const Image& image, const Preprocess& preprocess);

// The pixel format to read pictures in.
PixelFormat pixel_format(const Preprocess& preprocess);

}  // namespace fxq
