// One tile a thread, unless a tile would be too short to be worth waking a thread for. Channels are
// cut instead of rows where the weights outweigh the activations: each core then reads only its
// part of them.
#include "fxq/runtime/kernels/conv_tiles.h"

#include <algorithm>
#include <numeric>

namespace fxq::conv {
namespace {

constexpr int64_t kLeastMacs = 1 << 19;        // about a microsecond of VNNI work
constexpr int64_t kScratchBudget = 512 << 10;  // half of a core's second-level cache
constexpr int64_t kChannelUnit = 64;           // oneDNN's widest block of output channels

bool cuts_channels(const ConvGeometry& g, int64_t parts) {
  const int64_t weights = g.out_channels * g.group_inputs() * g.taps();
  return g.groups == 1 && parts > 1 && g.out_channels % (kChannelUnit * parts) == 0 &&
         weights > 2 * g.in_pixels() * g.in_channels;
}

// [0, count) in `parts` ranges of nearly equal length.
template <typename Add>
void cut(int64_t count, int64_t parts, const Add& add) {
  for (int64_t i = 0; i < parts; ++i) add(count * i / parts, count * (i + 1) / parts);
}

}  // namespace

std::vector<Tile> plan_tiles(const ConvGeometry& g, const TilingOptions& options) {
  const int64_t rows = g.out[g.row_axis()];
  const int64_t wanted = std::clamp<int64_t>(g.macs() / kLeastMacs, 1, options.threads);
  const int64_t per_image = wanted / std::gcd(g.batch, wanted);
  const int64_t images = options.single_images || per_image > 1 ? 1 : g.batch / wanted;
  const int64_t channel_parts = cuts_channels(g, per_image) ? per_image : 1;
  int64_t row_parts = channel_parts > 1 ? 1 : per_image;
  if (options.single_images) {
    const int64_t bytes = rows * options.scratch_bytes_per_row;
    row_parts = std::max(row_parts, (bytes + kScratchBudget - 1) / kScratchBudget);
  }
  row_parts = g.transposed ? 1 : std::clamp<int64_t>(row_parts, 1, rows);
  std::vector<Tile> tiles;
  for (int64_t image = 0; image < g.batch; image += images) {
    cut(g.out_channels, channel_parts, [&](int64_t channel_begin, int64_t channel_end) {
      cut(rows, row_parts, [&](int64_t row_begin, int64_t row_end) {
        tiles.push_back({image, images, row_begin, row_end, channel_begin, channel_end});
      });
    });
  }
  return tiles;
}

}  // namespace fxq::conv
