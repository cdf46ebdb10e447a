// The table of rewrites. Order matters only among rewrites of one overload: the first that applies
// wins.
#include <ATen/core/function_schema.h>

#include <unordered_map>

#include "fxq/base/check.h"
#include "fxq/graph/graph.h"
#include "fxq/tracer/canonical/canonical.h"
#include "fxq/tracer/emitter.h"

namespace fxq {
namespace {

const std::unordered_multimap<std::string, Rewrite>& table() {
  static const auto* rewrites = new std::unordered_multimap<std::string, Rewrite>{
      {"aten::_convolution", lower_convolution},
      {"aten::_convolution.deprecated", lower_convolution},
      {"aten::convolution", lower_convolution},
      {"aten::_convolution_mode", lower_convolution_mode},
      {"aten::conv1d.padding", resolve_conv_padding},
      {"aten::conv2d.padding", resolve_conv_padding},
      {"aten::conv3d.padding", resolve_conv_padding},
      {"aten::hardtanh", hardtanh_to_relu6},
      {"aten::clamp", clamp_to_relu6},
      {"aten::addmm", addmm_to_linear},
      {"aten::matmul", matmul_to_linear},
      {"aten::mm", mm_to_matmul},
      {"aten::add.Tensor", tensor_to_scalar},
      {"aten::sub.Tensor", tensor_to_scalar},
      {"aten::mul.Tensor", tensor_to_scalar},
      {"aten::div.Tensor", tensor_to_scalar},
      {"aten::rsub.Tensor", tensor_to_scalar},
      {"aten::pad", pad_to_constant_pad},
      {"aten::t", t_to_transpose},
      {"aten::numpy_T", t_to_transpose},
      {"aten::view_as", like_to_sizes},
      {"aten::reshape_as", like_to_sizes},
      {"aten::expand_as", like_to_sizes},
      {"aten::unsafe_chunk", unsafe_to_safe},
      {"aten::unsafe_split.Tensor", unsafe_to_safe},
      {"aten::unsafe_split_with_sizes", unsafe_to_safe},
      {"aten::_unsafe_view", unsafe_view_to_view},
      {"aten::split.sizes", split_sizes_to_split_with_sizes},
      {"aten::upsample_nearest2d", upsample_to_vec},
      {"aten::upsample_bilinear2d", upsample_to_vec},
  };
  return *rewrites;
}

bool rewrite_once(Call& call, const CanonicalContext& context) {
  const auto [begin, end] = table().equal_range(overload_name(*call.schema));
  for (auto it = begin; it != end; ++it) {
    if (it->second(call, context)) return true;
  }
  return false;
}

}  // namespace

const ValuePtr& Call::arg(std::string_view name) const {
  const auto index = schema->argumentIndexWithName(std::string(name));
  FXQ_CHECK(index.has_value(), schema->name() + " has no argument " + std::string(name));
  return args.at(static_cast<size_t>(*index));
}

bool Call::become(std::string_view target, std::vector<ValuePtr> new_args) {
  const c10::FunctionSchema* found = find_callee(target).schema;
  if (!found || found->arguments().size() != new_args.size()) return false;
  schema = found;
  args = std::move(new_args);
  return true;
}

// Every rewrite moves towards a canonical schema, so the chain is short.
void canonicalise(Call& call, const CanonicalContext& context) {
  while (rewrite_once(call, context)) {
  }
}

}  // namespace fxq
