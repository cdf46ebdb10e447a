// Bilinear resize with antialiasing, to the bit what Pillow's `resize(size, BILINEAR)` (and so
// torchvision's `Resize` on a picture) computes: a triangle filter that widens when shrinking,
// rows then columns, 22-bit fixed point, 8 bits between the two passes.
#pragma once

#include "fxq/data/image.h"

namespace fxq {

// `height` and `width` must be positive.
Image resize_bilinear(const Image& image, int height, int width);

// The `height` x `width` centre; where the picture is smaller, zeros are added on both sides
// (torchvision's `CenterCrop`).
Image center_crop(const Image& image, int height, int width);

}  // namespace fxq
