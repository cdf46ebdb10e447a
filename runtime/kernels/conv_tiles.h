// How the work of one convolution is cut into tiles: whole images, bands of output rows of one
// image, or parts of the output channels. Every tile is dense in memory, so cutting rows costs
// nothing; a part of the channels is computed apart and copied. The cut never changes a result.
#pragma once

#include <vector>

#include "fxq/runtime/kernels/conv_geometry.h"

namespace fxq::conv {

struct Tile {
  int64_t image = 0;
  int64_t images = 1;
  int64_t row_begin = 0;  // along ConvGeometry::row_axis()
  int64_t row_end = 0;
  int64_t channel_begin = 0;
  int64_t channel_end = 0;
};

struct TilingOptions {
  int threads = 1;
  bool single_images = false;         // a tile needs memory of its own and should be small
  int64_t scratch_bytes_per_row = 0;  // of that memory
};

std::vector<Tile> plan_tiles(const ConvGeometry& geometry, const TilingOptions& options);

}  // namespace fxq::conv
