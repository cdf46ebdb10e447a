// Canonicalisation: one spelling per op. The many ATen overloads that mean the same (_convolution,
// hardtanh(0, 6), addmm(b, x, w.t())) become the canonical schema of the op table's row, with
// results that stay identical to the last bit. The table (table.cc) maps overload -> rewrite; a
// rewrite that finds an argument it can't use leaves the call alone.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "fxq/tracer/value.h"

namespace c10 {
struct FunctionSchema;
}

namespace fxq {

// A call on its way to becoming a node; arguments in schema order, all present.
struct Call {
  const c10::FunctionSchema* schema = nullptr;
  std::vector<ValuePtr> args;

  // By schema name; the name must exist.
  const ValuePtr& arg(std::string_view name) const;
  // The same call of another op. False, and nothing changes, if this LibTorch lacks it.
  bool become(std::string_view target, std::vector<ValuePtr> new_args);
};

struct CanonicalContext {
  // The tensor itself if the value is a module's tensor or a constant; else undefined.
  std::function<at::Tensor(const ValuePtr&)> known_tensor;
  // Emits a call before the one being rewritten.
  std::function<ValuePtr(std::string_view target, std::vector<ValuePtr> args)> emit;
};

using Rewrite = bool (*)(Call&, const CanonicalContext&);

// Rewrites until nothing matches.
void canonicalise(Call& call, const CanonicalContext& context);

// Convolutions.
bool lower_convolution(Call&, const CanonicalContext&);       // _convolution, convolution
bool lower_convolution_mode(Call&, const CanonicalContext&);  // _convolution_mode
bool resolve_conv_padding(Call&, const CanonicalContext&);    // conv2d.padding("same")
// Activations.
bool hardtanh_to_relu6(Call&, const CanonicalContext&);
bool clamp_to_relu6(Call&, const CanonicalContext&);
// addmm(bias, x, t(w)) -> linear
bool addmm_to_linear(Call&, const CanonicalContext&);
// matmul(x, t(w)) -> linear(x, w)
bool matmul_to_linear(Call&, const CanonicalContext&);
bool mm_to_matmul(Call&, const CanonicalContext&);
// add.Tensor(x, Tensor{1}) -> add.Scalar
bool tensor_to_scalar(Call&, const CanonicalContext&);
// Shapes.
bool pad_to_constant_pad(Call&, const CanonicalContext&);
bool t_to_transpose(Call&, const CanonicalContext&);
bool upsample_to_vec(Call&, const CanonicalContext&);
bool unsafe_view_to_view(Call&, const CanonicalContext&);
bool unsafe_to_safe(Call&, const CanonicalContext&);  // unsafe_chunk(x, n) -> chunk(x, n)
bool like_to_sizes(Call&, const CanonicalContext&);   // view_as(x, y) -> view(x, sizes of y)
bool split_sizes_to_split_with_sizes(Call&, const CanonicalContext&);

}  // namespace fxq
