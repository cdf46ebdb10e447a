// _convolution(x, w, b, stride, padding, dilation, transposed, output_padding, groups, ...)
//   -> conv{1,2,3}d(x, w, b, stride, padding, dilation, groups)
//   or conv_transpose{1,2,3}d(x, w, b, stride, padding, output_padding, groups, dilation)
// conv2d.padding(x, w, b, stride, "same", ...) -> conv2d with numbers, after a constant_pad_nd if
// the two sides differ (as ATen does it).
#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include "fxq/tracer/canonical/canonical.h"

namespace fxq {
namespace {

// Spatial rank from the weight or from a list attribute; 0 if neither is known.
int64_t spatial_rank(const Call& call, const CanonicalContext& context) {
  const at::Tensor weight = context.known_tensor(call.arg("weight"));
  if (weight.defined()) return weight.dim() - 2;
  const ValuePtr& dilation = call.arg("dilation");
  const ValuePtr& stride = call.arg("stride");
  if (dilation->items.size() > 1) return static_cast<int64_t>(dilation->items.size());
  return static_cast<int64_t>(stride->items.size());
}

std::string transposed_name(int64_t rank) {
  return fmt::format("aten::conv_transpose{}d{}", rank, rank == 1 ? "" : ".input");
}

ValuePtr make_ints(const std::vector<int64_t>& values) {
  std::vector<ValuePtr> items;
  for (int64_t value : values) items.push_back(make_constant(value, c10::IntType::get()));
  return make_items(Value::Kind::kList, std::move(items), c10::ListType::ofInts());
}

}  // namespace

bool lower_convolution(Call& call, const CanonicalContext& context) {
  const int64_t rank = spatial_rank(call, context);
  const ValuePtr& transposed = call.arg("transposed");
  if (rank < 1 || rank > 3 || !transposed->is(Value::Kind::kConstant)) return false;
  const auto common = [&](std::vector<const char*> names) {
    std::vector<ValuePtr> args;
    for (const char* name : names) args.push_back(call.arg(name));
    return args;
  };
  if (transposed->constant.toBool()) {
    return call.become(transposed_name(rank),
                       common({"input", "weight", "bias", "stride", "padding", "output_padding",
                               "groups", "dilation"}));
  }
  return call.become(
      fmt::format("aten::conv{}d", rank),
      common({"input", "weight", "bias", "stride", "padding", "dilation", "groups"}));
}

bool lower_convolution_mode(Call& call, const CanonicalContext& context) {
  const int64_t rank = spatial_rank(call, context);
  if (rank < 1 || rank > 3) return false;
  return call.become(fmt::format("aten::conv{}d.padding", rank), call.args);
}

bool resolve_conv_padding(Call& call, const CanonicalContext& context) {
  const at::Tensor weight = context.known_tensor(call.arg("weight"));
  const ValuePtr& mode = call.arg("padding");
  const auto dilation = constant_ints(*call.arg("dilation"));
  if (!weight.defined() || !dilation || dilation->empty() || !mode->is(Value::Kind::kConstant)) {
    return false;
  }
  const auto rank = static_cast<size_t>(weight.dim() - 2);
  std::vector<int64_t> padding(rank, 0);
  std::vector<int64_t> extra;  // for pad: last dimension first, left and right
  bool uneven = false;
  if (mode->constant.toStringRef() == "same") {
    for (size_t i = 0; i < rank; ++i) {
      const int64_t spread = (*dilation)[i % dilation->size()];
      const int64_t total = spread * (weight.size(static_cast<int64_t>(i) + 2) - 1);
      padding[i] = total / 2;
      extra.insert(extra.begin(), {0, total % 2});
      uneven |= total % 2 != 0;
    }
  } else if (mode->constant.toStringRef() != "valid") {
    return false;
  }
  ValuePtr input = call.args[0];
  if (uneven) {
    input =
        context.emit("aten::constant_pad_nd", {input, make_ints(extra), make_constant(int64_t{0})});
  }
  return call.become(fmt::format("aten::conv{}d", rank),
                     {input, call.arg("weight"), call.arg("bias"), call.arg("stride"),
                      make_ints(padding), call.arg("dilation"), call.arg("groups")});
}

}  // namespace fxq
