// %y = multi_head_attention(%x, %x, %x, 16, 4, ..)    ->
//   %qkv = linear(%x, qkv_weight, qkv_bias); q, k, v = [N, heads, T, D / heads] parts of it
//   %y = linear(softmax(q / sqrt(D / heads) * k^T) * v, proj_weight, proj_bias)
// %y = transformer_encoder_layer(%x, ..)              ->
//   a = norm1(x + attention(x)); y = norm2(a + ffn(a)); norms come first with norm_first
#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>

#include "fxq/base/status.h"
#include "fxq/graph/view.h"
#include "fxq/passes/call_writer.h"
#include "fxq/passes/cleanup.h"

namespace fxq {
namespace {

using Dims = std::vector<Dim>;

Type typed(const Node* like, const std::function<Dims(const Dims&)>& dims) {
  Type type = like->type;
  if (type.dims) type.dims = dims(*type.dims);
  return type;
}

Node* linear(CallWriter& writer, Node* x, const std::string& weight, const std::string& bias) {
  Node* w = writer.param(weight);
  const int64_t out = writer.view().param(weight).size(0);
  const Type type = typed(x, [&](Dims dims) {
    dims.back() = Dim{out, ""};
    return dims;
  });
  return writer.call(OpId::kLinear, {Argument(x), Argument(w), or_none(writer.param(bias))}, type);
}

struct Heads {
  int64_t count, width;
};

// Part `index` of [N, T, 3 * D] as [N, heads, T, width]. The batch stays where it is: there are
// targets that cannot move it.
Node* take(CallWriter& writer, Node* chunks, int64_t index, const std::vector<Node*>& sizes,
           const Heads& heads) {
  const Type part = chunks->type.elements[0];
  Node* y = writer.call(OpId::kGetItem, {Argument(chunks), Argument(index)}, part);
  const Dim count{heads.count, ""}, width{heads.width, ""};
  y = writer.call(OpId::kView,
                  {Argument(y), Argument::list({Argument(sizes[0]), Argument(sizes[1]),
                                                Argument(heads.count), Argument(heads.width)})},
                  typed(y, [&](const Dims& d) {
                    return Dims{d[0], d[1], count, width};
                  }));
  return writer.call(OpId::kTranspose, {Argument(y), Argument(int64_t{1}), Argument(int64_t{2})},
                     typed(y, [](const Dims& d) {
                       return Dims{d[0], d[2], d[1], d[3]};
                     }));
}

Node* attend(CallWriter& writer, Node* qkv, const std::vector<Node*>& sizes, const Heads& heads) {
  const Type part = typed(qkv, [&](const Dims& d) {
    return Dims{d[0], d[1], Dim{heads.count * heads.width, ""}};
  });
  Node* chunks = writer.call(
      OpId::kChunk, {Argument(qkv), Argument(int64_t{3}), Argument(int64_t{-1})}, Type::list(part));
  Node* q = take(writer, chunks, 0, sizes, heads);
  Node* k = take(writer, chunks, 1, sizes, heads);
  Node* v = take(writer, chunks, 2, sizes, heads);
  const double scale = 1.0 / std::sqrt(static_cast<double>(heads.width));
  q = writer.call(OpId::kMulScalar, {Argument(q), Argument(scale)}, q->type);
  k = writer.call(OpId::kTranspose, {Argument(k), Argument(int64_t{-2}), Argument(int64_t{-1})},
                  typed(k, [](const Dims& d) {
                    return Dims{d[0], d[1], d[3], d[2]};
                  }));
  const Type square = typed(q, [](const Dims& d) { return Dims{d[0], d[1], d[2], d[2]}; });
  Node* scores = writer.call(OpId::kMatmul, {Argument(q), Argument(k)}, square);
  scores = writer.call(OpId::kSoftmax, {Argument(scores), Argument(int64_t{-1})}, square);
  return writer.call(OpId::kMatmul, {Argument(scores), Argument(v)}, v->type);
}

Node* attention(CallWriter& writer, Node* x, const Heads& heads) {
  const Type number = Type::of(Type::Kind::kInt);
  std::vector<Node*> sizes;
  for (int64_t i = 0; i < 2; ++i) {
    sizes.push_back(writer.call(OpId::kSize, {Argument(x), Argument(i)}, number));
  }
  Node* qkv = linear(writer, x, "qkv_weight", "qkv_bias");
  Node* y = attend(writer, qkv, sizes, heads);
  y = writer.call(OpId::kTranspose, {Argument(y), Argument(int64_t{1}), Argument(int64_t{2})},
                  typed(y, [](const Dims& d) {
                    return Dims{d[0], d[2], d[1], d[3]};
                  }));
  y = writer.call(OpId::kReshape,
                  {Argument(y), Argument::list({Argument(sizes[0]), Argument(sizes[1]),
                                                Argument(heads.count * heads.width)})},
                  x->type);
  return linear(writer, y, "proj_weight", "proj_bias");
}

Node* norm(CallWriter& writer, Node* x, const std::string& index, int64_t width) {
  return writer.call(
      OpId::kLayerNorm,
      {Argument(x), Argument::ints({width}), or_none(writer.param("norm_weight_" + index)),
       or_none(writer.param("norm_bias_" + index)), Argument(writer.view().attr_float("eps"))},
      x->type);
}

Node* feed_forward(CallWriter& writer, Node* x) {
  Node* y = linear(writer, x, "ffn_weight_1", "ffn_bias_1");
  const OpId activation = writer.view().attr_bool("use_gelu") ? OpId::kGelu : OpId::kRelu;
  y = writer.call(activation, {Argument(y)}, y->type);
  return linear(writer, y, "ffn_weight_2", "ffn_bias_2");
}

Node* encoder_layer(CallWriter& writer, Node* x, const Heads& heads) {
  const int64_t width = heads.count * heads.width;
  const bool first = writer.view().attr_bool("norm_first");
  auto add = [&](Node* a, Node* b) {
    return writer.call(OpId::kAdd, {Argument(a), Argument(b)}, a->type);
  };
  Node* y = add(x, attention(writer, first ? norm(writer, x, "1", width) : x, heads));
  if (!first) y = norm(writer, y, "1", width);
  y = add(y, feed_forward(writer, first ? norm(writer, y, "2", width) : y));
  return first ? y : norm(writer, y, "2", width);
}

// The result that is an attention's first; null if somebody reads another one.
Node* only_result(const Node* attention) {
  Node* first = nullptr;
  for (Node* user : attention->users()) {
    const auto* index = user->op() == OpId::kGetItem ? user->args()[1].get_if<int64_t>() : nullptr;
    if (!index) return nullptr;
    if (*index == 0 && !first) {
      first = user;
    } else if (!user->users().empty()) {
      return nullptr;
    }
  }
  return first;
}

bool is_layer(const OpView& view) { return view.op() == OpId::kTransformerEncoderLayer; }

// The heads, if the call says as constants how many there are and they share the width evenly.
std::optional<Heads> heads_of(const OpView& view) {
  const std::string_view count_name = is_layer(view) ? "num_heads" : "num_head";
  if (!view.attr(count_name).is_constant() || !view.attr("embed_dim").is_constant()) return {};
  const int64_t count = view.attr_int(count_name, 0);
  const int64_t width = view.attr_int("embed_dim", 0);
  if (count <= 0 || width <= 0 || width % count != 0) return {};
  return Heads{count, width / count};
}

bool has_constant_options(const OpView& view) {
  if (!is_layer(view)) return true;
  return view.attr("use_gelu").is_constant() && view.attr("norm_first").is_constant() &&
         view.attr("eps").is_constant();
}

bool is_plain(const OpView& view) {
  const std::vector<Node*>& operands = view.operands();
  const size_t wanted = is_layer(view) ? 1 : 3;
  const bool same = operands.size() == wanted &&
                    std::all_of(operands.begin(), operands.end(),
                                [&](const Node* operand) { return operand == operands[0]; });
  if (!same || operands[0]->type.rank() != 3) return false;
  if (!heads_of(view) || !has_constant_options(view)) return false;
  for (std::string_view name : view.def().params) {
    const bool is_weight = name.find("weight") != std::string_view::npos;
    if (is_weight && !view.param(name).defined()) return false;  // computed while running
  }
  return is_layer(view) || only_result(view.node());
}

absl::Status open(GraphModule& gm, Node* node) {
  const OpView view(gm, node);
  const Heads heads = *heads_of(view);
  Node* result = is_layer(view) ? node : only_result(node);
  Node* made = nullptr;
  {
    CallWriter writer(gm, node);
    Node* x = view.operand(0);
    made = is_layer(view) ? encoder_layer(writer, x, heads) : attention(writer, x, heads);
  }
  gm.graph().replace_all_uses(result, made);
  gm.graph().take_name(made, result);
  const std::vector<Node*> users(node->users().begin(), node->users().end());
  for (Node* user : users) FXQ_RETURN_IF_ERROR(gm.graph().erase(user));
  return gm.graph().erase(node);
}

}  // namespace

absl::StatusOr<bool> open_attention(GraphModule& gm) {
  bool changed = false;
  for (OpId op : {OpId::kMultiHeadAttention, OpId::kTransformerEncoderLayer}) {
    for (Node* node : gm.graph().find_all(op)) {
      if (gm.is_training() || !is_plain(OpView(gm, node))) continue;
      FXQ_RETURN_IF_ERROR(open(gm, node));
      changed = true;
    }
  }
  if (changed) gm.remove_unused();
  return changed;
}

}  // namespace fxq
