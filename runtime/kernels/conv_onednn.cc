// One tile: [pad the source into scratch] -> [bring the residual to where oneDNN adds in place]
//   -> oneDNN -> [32-bit sums: add the parts, finish] or [a part of the channels: copy it out].
#include <algorithm>
#include <cstring>
#include <utility>

#include "fmt/format.h"
#include "fxq/base/status.h"
#include "fxq/runtime/isa.h"
#include "fxq/runtime/kernels/conv_routes.h"
#include "fxq/runtime/kernels/conv_tiles.h"
#include "fxq/runtime/kernels/conv_weights.h"
#include "fxq/runtime/kernels/onednn_conv.h"

namespace fxq::conv {
namespace {

size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

// Everything that the tiles of one step have in common.
struct Shared {
  ConvGeometry geometry;  // of the whole step, groups merged
  Epilogue epilogue;
  int shift = 0;  // what a padding pixel is stored as
  bool fused = false;
  bool channels_first = false;
  std::vector<int32_t> bias;
  std::vector<float> multiplier;
};

struct BoundTile {
  Tile tile;
  ConvGeometry geometry;  // as oneDNN runs it
  ConvGeometry unpadded;  // of the source rows to copy
  bool copies_source = false;
  bool copies_output = false;  // fused, but only a part of the channels
  int64_t source_offset = 0;   // bytes
  std::vector<std::shared_ptr<const OneDnnConv>> parts;
  // Offsets into the worker's scratch.
  size_t result_at = 0;  // sums, or the output's part
  size_t part_at = 0;    // sums of the second and later weight parts
  size_t onednn_at = 0;
  size_t scratch_bytes = 0;

  int64_t pixels() const { return geometry.batch * geometry.out_pixels(); }
  int64_t channels() const { return tile.channel_end - tile.channel_begin; }
};

// Copies the rows of `from` into the middle of a padded block whose border holds `fill`.
void pad_source(const ConvGeometry& from, int fill, const std::byte* source, std::byte* padded) {
  const int64_t row = from.in[2] * from.in_channels;
  const int64_t before = from.pad_before[2] * from.in_channels;
  const int64_t after = from.pad_after[2] * from.in_channels;
  const int64_t padded_row = before + row + after;
  const int64_t padded_height = from.pad_before[1] + from.in[1] + from.pad_after[1];
  const auto fill_bytes = [&](int64_t count) {
    std::memset(padded, fill, static_cast<size_t>(count));
    padded += count;
  };
  fill_bytes(from.pad_before[0] * padded_height * padded_row);
  for (int64_t plane = 0; plane < from.in[0]; ++plane) {
    fill_bytes(from.pad_before[1] * padded_row);
    for (int64_t y = 0; y < from.in[1]; ++y) {
      fill_bytes(before);
      std::memcpy(padded, source, static_cast<size_t>(row));
      padded += row;
      source += row;
      fill_bytes(after);
    }
    fill_bytes(from.pad_after[1] * padded_row);
  }
  fill_bytes(from.pad_after[0] * padded_height * padded_row);
}

void copy_rows(const std::byte* from, int64_t from_stride, std::byte* to, int64_t to_stride,
               int64_t rows, int64_t bytes) {
  for (int64_t i = 0; i < rows; ++i) {
    std::memcpy(to + i * to_stride, from + i * from_stride, static_cast<size_t>(bytes));
  }
}

class OneDnnStep : public BoundStep {
 public:
  OneDnnStep(Shared shared, std::vector<BoundTile> tiles)
      : shared_(std::move(shared)), tiles_(std::move(tiles)) {}

  int slices(int) const override { return static_cast<int>(tiles_.size()); }

  absl::Status run_slice(int, int slice, const StepBuffers& buffers) const override {
    const BoundTile& tile = tiles_[slice];
    const std::byte* source = buffers.inputs[kX] + tile.source_offset;
    if (tile.copies_source) {
      pad_source(tile.unpadded, shared_.shift, source, buffers.worker_scratch);
      source = buffers.worker_scratch;
    }
    return shared_.fused ? run_fused(tile, source, buffers) : run_sums(tile, source, buffers);
  }

  std::string implementation() const override {
    const BoundTile& tile = tiles_.front();
    const std::string& name = tile.parts.front()->implementation();
    return shared_.fused ? name : fmt::format("{} x{} + own epilogue", name, tile.parts.size());
  }

 private:
  // The tile's first output element; one pixel of all channels is `channels` elements.
  int64_t first_element(const BoundTile& tile) const {
    const ConvGeometry& g = shared_.geometry;
    const int64_t row = g.out_pixels() / g.out[g.row_axis()];
    const int64_t pixel = tile.tile.row_begin * row;
    const int64_t image = tile.tile.image * g.out_pixels() * g.out_channels;
    if (shared_.channels_first) return image + tile.tile.channel_begin * g.out_pixels() + pixel;
    return image + pixel * g.out_channels + tile.tile.channel_begin;
  }

  absl::Status run_fused(const BoundTile& tile, const std::byte* source,
                         const StepBuffers& buffers) const {
    const int64_t size = static_cast<int64_t>(dtype_size(shared_.epilogue.output));
    const int64_t at = first_element(tile) * size;
    const int64_t stride = shared_.geometry.out_channels * size;
    const int64_t bytes = tile.channels() * size;
    std::byte* output = buffers.outputs[0] + at;
    std::byte* target = tile.copies_output ? buffers.worker_scratch + tile.result_at : output;
    if (shared_.epilogue.has_other) {
      const std::byte* other = buffers.inputs[kOther] + at;
      if (tile.copies_output) {
        copy_rows(other, stride, target, bytes, tile.pixels(), bytes);
      } else if (other != target) {
        std::memcpy(target, other, static_cast<size_t>(tile.pixels() * bytes));
      }
    }
    std::byte* scratch = buffers.worker_scratch + tile.onednn_at;
    FXQ_RETURN_IF_ERROR(tile.parts.front()->run(source, target, scratch));
    if (tile.copies_output) copy_rows(target, bytes, output, stride, tile.pixels(), bytes);
    return absl::OkStatus();
  }

  absl::Status run_sums(const BoundTile& tile, const std::byte* source,
                        const StepBuffers& buffers) const {
    std::byte* scratch = buffers.worker_scratch + tile.onednn_at;
    auto* sums = reinterpret_cast<int32_t*>(buffers.worker_scratch + tile.result_at);
    auto* part = reinterpret_cast<int32_t*>(buffers.worker_scratch + tile.part_at);
    for (size_t i = 0; i < tile.parts.size(); ++i) {
      int32_t* target = i == 0 ? sums : part;
      FXQ_RETURN_IF_ERROR(
          tile.parts[i]->run(source, reinterpret_cast<std::byte*>(target), scratch));
      if (i > 0) add_sums(sums, part, tile.pixels() * tile.channels());
    }
    const int64_t size = static_cast<int64_t>(dtype_size(shared_.epilogue.output));
    const int64_t at = first_element(tile) * size;
    EpilogueTarget target;
    target.output = buffers.outputs[0] + at;
    if (shared_.epilogue.has_other) target.other = buffers.inputs[kOther] + at;
    target.pixel_stride = shared_.channels_first ? 1 : shared_.geometry.out_channels;
    target.channel_stride = shared_.channels_first ? shared_.geometry.out_pixels() : 1;
    const int64_t c = tile.tile.channel_begin;
    finish(shared_.epilogue, sums, shared_.bias.data() + c, shared_.multiplier.data() + c,
           tile.pixels(), tile.channels(), target);
    return absl::OkStatus();
  }

  Shared shared_;
  std::vector<BoundTile> tiles_;
};

// Builds an OneDnnStep for one choice of merged groups.
class Binder {
 public:
  Binder(const ConvProblem& problem, int64_t merged, BindContext& context)
      : problem_(problem), context_(context), weights_(canonical_bytes(problem, merged)) {
    shared_.geometry = problem.geometry;
    shared_.geometry.groups /= merged;
    shared_.epilogue = problem.epilogue;
    shared_.shift = problem.storage_shift();
    shared_.channels_first = problem.channels_first_output;
    key_ = fmt::format("conv {} x{}", problem.weight_key(), merged);
  }

  absl::StatusOr<std::unique_ptr<BoundStep>> bind() {
    FXQ_RETURN_IF_ERROR(check_windows());
    FXQ_RETURN_IF_ERROR(choose_route());
    const auto multiplier = problem_.multiplier->data<float>();
    shared_.multiplier.assign(multiplier.begin(), multiplier.end());
    std::vector<BoundTile> tiles;
    size_t scratch = 0;
    for (const Tile& tile : plan_tiles(shared_.geometry, tiling())) {
      FXQ_ASSIGN_OR_RETURN(BoundTile bound, bind_tile(tile));
      scratch = std::max(scratch, bound.scratch_bytes);
      tiles.push_back(std::move(bound));
    }
    context_.worker_scratch_bytes = scratch;
    return std::make_unique<OneDnnStep>(std::move(shared_), std::move(tiles));
  }

 private:
  // With holes between the windows, oneDNN 2.6.3 gives wrong results.
  absl::Status check_windows() const {
    const ConvGeometry& g = shared_.geometry;
    for (int axis = 0; axis < 3 && g.transposed; ++axis) {
      if (g.kernel[axis] < g.stride[axis]) {
        return absl::UnimplementedError(
            "no transposed convolution with a stride beyond its kernel");
      }
    }
    return absl::OkStatus();
  }

  absl::Status choose_route() {
    const bool transposed = shared_.geometry.transposed;
    const SumBounds bounds = sum_bounds(problem_, weights_.values, !transposed);
    const DType output = shared_.epilogue.output;
    shared_.fused = has_vnni() && output != DType::kI16 && !shared_.channels_first &&
                    fuses_residual() && fused_is_exact(problem_, bounds);
    if (!shared_.fused) {
      // Below VNNI, the zero point's correction is taken from products that may have saturated.
      if (transposed && shared_.shift != 0 && !has_vnni()) {
        return absl::UnimplementedError("no exact transposed convolution of i8 without VNNI");
      }
      const int64_t products = shared_.geometry.group_inputs() * shared_.geometry.taps();
      parts_ = parts_for_exact_sums(bounds, products, has_vnni());
      if (parts_ == 0) return absl::UnimplementedError("sums may pass 2^31");
    }
    for (const int64_t bias : bounds.bias) shared_.bias.push_back(static_cast<int32_t>(bias));
    return absl::OkStatus();
  }

  // oneDNN 2.6.3 has no residual in transposed convolutions, and on avx2_vnni its depthwise kernels
  // with one write wrong results (registers run out: 9 to 16 channels, 5x5).
  bool fuses_residual() const {
    const ConvGeometry& g = shared_.geometry;
    if (!shared_.epilogue.has_other) return true;
    const bool depthwise = g.groups > 1 && g.group_inputs() == 1 && g.group_outputs() == 1;
    return !g.transposed && !(depthwise && effective_isa() == Isa::kAvx2Vnni);
  }

  // Zero padding of an i8 source is a stored 128, which oneDNN does not write.
  bool copies_source() const {
    const ConvGeometry& g = shared_.geometry;
    if (g.transposed) return false;
    for (int axis = 0; axis < 3; ++axis) {
      if (g.pad_before[axis] >= g.extent(axis) || g.pad_after[axis] >= g.extent(axis)) return true;
    }
    return shared_.shift != 0 && g.padded();
  }

  TilingOptions tiling() const {
    const ConvGeometry& g = shared_.geometry;
    TilingOptions options;
    options.threads = context_.threads;
    options.single_images = copies_source() || !shared_.fused;
    const int64_t rows = g.out[g.row_axis()];
    if (copies_source()) {
      options.scratch_bytes_per_row = padding_applied(g).in_pixels() * g.in_channels / rows + 1;
    }
    if (!shared_.fused) {
      options.scratch_bytes_per_row +=
          g.out_pixels() / rows * g.out_channels * 4 * std::min(parts_, 2);
    }
    return options;
  }

  absl::StatusOr<BoundTile> bind_tile(const Tile& tile) {
    const ConvGeometry& whole = shared_.geometry;
    BoundTile bound;
    bound.tile = tile;
    const int64_t rows = whole.out[whole.row_axis()];
    RowBand band{whole, 0};
    if (tile.row_end - tile.row_begin != rows)
      band = slice_rows(whole, tile.row_begin, tile.row_end);
    band.geometry.batch = tile.images;
    band.geometry.out_channels = bound.channels();
    const int64_t in_row = whole.in_pixels() / whole.in[whole.row_axis()] * whole.in_channels;
    bound.source_offset =
        tile.image * whole.in_pixels() * whole.in_channels + band.input_begin * in_row;
    bound.copies_source = copies_source();
    bound.unpadded = band.geometry;
    bound.geometry = bound.copies_source ? padding_applied(band.geometry) : band.geometry;
    bound.copies_output =
        shared_.fused && bound.channels() != whole.out_channels && bound.pixels() > 1;
    FXQ_RETURN_IF_ERROR(make_parts(bound));
    place_scratch(bound);
    return bound;
  }

  absl::Status make_parts(BoundTile& bound) {
    const Tile& tile = bound.tile;
    const size_t first = tile.channel_begin;
    const size_t channels = bound.channels();
    OneDnnConvSpec spec;
    spec.geometry = bound.geometry;
    if (spec.geometry.transposed) spec.source_zero_point = shared_.shift;
    if (shared_.fused) {
      spec.epilogue = &shared_.epilogue;
      spec.multiplier = absl::MakeConstSpan(shared_.multiplier).subspan(first, channels);
      spec.bias = absl::MakeConstSpan(shared_.bias).subspan(first, channels);
    }
    const size_t products = weights_.values.size() / shared_.geometry.out_channels;
    const auto values = weights_.values.subspan(first * products, channels * products);
    const int parts = shared_.fused ? 1 : parts_;
    for (int part = 0; part < parts; ++part) {
      const auto weights = [&] {
        std::vector<int8_t> made(values.begin(), values.end());
        if (parts > 1) {
          for (int8_t& w : made) w = weight_part(w, part, parts);
        }
        return made;
      };
      const std::string key =
          fmt::format("{} [{},{}) {}/{}", key_, first, tile.channel_end, part, parts);
      FXQ_ASSIGN_OR_RETURN(auto conv, OneDnnConv::create(spec, key, weights, *context_.packed));
      bound.parts.push_back(std::move(conv));
    }
    return absl::OkStatus();
  }

  void place_scratch(BoundTile& bound) const {
    const ConvGeometry& g = bound.geometry;
    size_t at = bound.copies_source ? aligned(g.in_pixels() * g.in_channels) : 0;
    const size_t elements = bound.pixels() * bound.channels();
    bound.result_at = at;
    if (bound.copies_output) at += aligned(elements * dtype_size(shared_.epilogue.output));
    if (!shared_.fused) at += aligned(elements * sizeof(int32_t));
    bound.part_at = at;
    if (bound.parts.size() > 1) at += aligned(elements * sizeof(int32_t));
    bound.onednn_at = at;
    bound.scratch_bytes = at + bound.parts.front()->scratch_bytes();
  }

  const ConvProblem& problem_;
  BindContext& context_;
  ByteWeights weights_;
  Shared shared_;
  int parts_ = 1;
  std::string key_;
};

// Numbers of groups to merge into one (a block-diagonal weight), for group widths that oneDNN has
// no kernel for: blocks of 16 channels, then everything.
// Not at any price: the zeros are multiplied too.
std::vector<int64_t> mergers(const ConvGeometry& g) {
  constexpr int64_t kMostMerged = 64;
  constexpr int64_t kMostWeights = 8 << 20;
  const int64_t weights = g.out_channels * g.group_inputs() * g.taps();
  std::vector<int64_t> result = {1};
  for (int64_t merged = 2; merged <= g.groups; ++merged) {
    if (g.groups % merged != 0) continue;
    const bool blocks = g.group_inputs() * merged % 16 == 0 && g.group_outputs() * merged % 16 == 0;
    if (!blocks && merged != g.groups) continue;
    if (merged <= kMostMerged && merged * weights <= kMostWeights) result.push_back(merged);
    break;
  }
  return result;
}

}  // namespace

absl::StatusOr<std::unique_ptr<BoundStep>> bind_onednn(const ConvProblem& problem,
                                                       BindContext& context) {
  if (problem.input == DType::kI16 || problem.weight->dtype() != DType::kI8) {
    return absl::UnimplementedError("oneDNN has no 16-bit convolution");
  }
  absl::Status status;
  for (const int64_t merged : mergers(problem.geometry)) {
    auto bound = Binder(problem, merged, context).bind();
    if (bound.ok() || !absl::IsUnimplemented(bound.status())) return bound;
    status = bound.status();
  }
  return status;
}

}  // namespace fxq::conv
