// OneDnnConv: one oneDNN (transposed) convolution of u8 by s8 on dense channels-last memory, made
// for one thread. Immutable after create; run may be called from many threads at once, each with
// its own scratch. Packed weights are shared through the PackedCache.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "fxq/runtime/kernel.h"
#include "fxq/runtime/kernels/conv_epilogue.h"
#include "fxq/runtime/kernels/conv_geometry.h"

namespace fxq::conv {

struct OneDnnConvSpec {
  ConvGeometry geometry;
  int source_zero_point = 0;  // subtracted from every source byte; padding stands for it
  // Null: the s32 sums alone. Else bias, scale and everything after are fused; the residual is
  // then what `output` holds before the run.
  const Epilogue* epilogue = nullptr;
  absl::Span<const float> multiplier;  // per output channel, as bias; only with an epilogue
  absl::Span<const int32_t> bias;
};

class OneDnnConv {
 public:
  // Canonical weights (conv_weights.h) for packing; called only if the cache lacks them.
  using Weights = std::function<std::vector<int8_t>()>;

  // `key` names the weights in the cache; the layout that oneDNN asks for is added to it.
  // Unimplemented if oneDNN has no such kernel, or only its reference one.
  static absl::StatusOr<std::shared_ptr<const OneDnnConv>> create(const OneDnnConvSpec& spec,
                                                                  const std::string& key,
                                                                  const Weights& weights,
                                                                  PackedCache& cache);
  ~OneDnnConv();

  // `scratch` is 64-aligned, of scratch_bytes().
  absl::Status run(const std::byte* source, std::byte* output, std::byte* scratch) const;

  size_t scratch_bytes() const;
  const std::string& implementation() const;  // "brgconv:avx512_core_vnni"

 private:
  struct State;
  explicit OneDnnConv(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace fxq::conv
