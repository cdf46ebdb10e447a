// conv2d(weight: f32[64,3,7,5], groups=1): kernel 7, 5; channels 64, 3. Types give shapes.
#include "fxq/quant/march_measures.h"

#include <ATen/core/Tensor.h>

#include <algorithm>

namespace fxq::measures {
namespace {

Values numbers(const std::vector<int64_t>& ints) { return {ints.begin(), ints.end()}; }

Values truth(bool value) { return {value ? 1.0 : 0.0}; }

at::Tensor weight_of(const OpView& view) {
  return view.def().weight.empty() ? at::Tensor() : view.param(view.def().weight);
}

// Operands and results that are tensors of known rank; the parts of several results. What shares
// its first operand's integers reads no others: boxes, indices.
std::vector<const Type*> shaped(const OpView& view) {
  std::vector<const Type*> types;
  auto add = [&](const Type& type) {
    if (type.is_tensor() && type.dims) types.push_back(&type);
  };
  for (const Node* operand : view.operands()) {
    add(operand->type);
    if (view.def().rule == Rule::kSharesInput) break;
  }
  add(view.node()->type);
  for (const Type& element : view.node()->type.elements) add(element);
  return types;
}

const Type* known(const Type& type) { return type.is_tensor() && type.dims ? &type : nullptr; }
const Type* input(const OpView& view) {
  return view.operand(0) ? known(view.operand(0)->type) : nullptr;
}
const Type* result(const OpView& view) { return known(view.node()->type); }

int64_t from_front(int64_t dim, const Type& type) { return dim < 0 ? dim + type.rank() : dim; }

// Dimension `axis` of the result that an operand of fewer dimensions has further left.
const Dim* aligned(const Type& operand, const Type& result, int axis) {
  const int at = axis - (result.rank() - operand.rank());
  return at < 0 ? nullptr : &(*operand.dims)[static_cast<size_t>(at)];
}

// Of one size in an operand and more in the result; an operand without the dimension counts as one.
bool broadcasts(const Type& operand, const Type& result, int axis) {
  const Dim& whole = (*result.dims)[static_cast<size_t>(axis)];
  const Dim* part = aligned(operand, result, axis);
  if (!part) return whole.size != 1;
  return part->is_known() && part->size == 1 && whole.size != 1;
}

bool is_output_only(const Node* node) {
  return std::all_of(node->users().begin(), node->users().end(), [](const Node* user) {
    if (user->is(NodeKind::kOutput)) return true;
    const bool passes_on = user->op() == OpId::kGetItem || user->op() == OpId::kDeQuantStub ||
                           op_def(user->op()).kernel == "Identity";
    return passes_on && is_output_only(user);
  });
}

}  // namespace

Values kernel(const OpView& view) {
  const at::Tensor weight = weight_of(view);
  if (!weight.defined()) return numbers(view.attr_ints("kernel_size"));
  return numbers(weight.sizes().slice(std::min<size_t>(2, weight.sizes().size())).vec());
}

Values stride(const OpView& view) { return numbers(view.attr_ints("stride")); }
Values padding(const OpView& view) { return numbers(view.attr_ints("padding")); }
Values dilation(const OpView& view) { return numbers(view.attr_ints("dilation")); }
Values groups(const OpView& view) { return {static_cast<double>(view.attr_int("groups", 1))}; }

Values channels_per_group(const OpView& view) {
  const at::Tensor weight = weight_of(view);
  if (!weight.defined()) return {};
  const double count = static_cast<double>(view.attr_int("groups", 1));
  return {static_cast<double>(weight.size(0)) / count, static_cast<double>(weight.size(1))};
}

Values channels(const OpView& view) {
  const at::Tensor weight = weight_of(view);
  if (weight.defined()) {
    return {static_cast<double>(weight.size(0)),
            static_cast<double>(weight.size(1) * view.attr_int("groups", 1))};
  }
  Values all;
  for (const Type* type : shaped(view)) {
    if (type->rank() > 1 && (*type->dims)[1].is_known()) {
      all.push_back(static_cast<double>((*type->dims)[1].size));
    }
  }
  return all;
}

Values features(const OpView& view) {
  const at::Tensor weight = weight_of(view);
  return weight.defined() ? numbers(weight.sizes().vec()) : Values{};
}

Values align_corners(const OpView& view) {
  if (!view.attr("align_corners").is<bool>()) return {};  // nearest has no corners
  return truth(view.attr_bool("align_corners"));
}

Values padding_mode(const OpView& view) {
  return {static_cast<double>(view.attr_int("padding_mode"))};
}

Values reflects(const OpView& view) { return truth(view.attr_string("mode") == "reflect"); }

Values inputs(const OpView& view) { return {static_cast<double>(view.operands().size())}; }

Values rank(const OpView& view) {
  Values all;
  for (const Type* type : shaped(view)) all.push_back(type->rank());
  return all;
}

Values batch(const OpView& view) {
  Values all;
  for (const Type* type : shaped(view)) {
    if (type->rank() > 0 && (*type->dims)[0].is_known()) {
      all.push_back(static_cast<double>((*type->dims)[0].size));
    }
  }
  return all;
}

Values extent(const OpView& view) {
  Values all;
  for (const Type* type : shaped(view)) {
    for (size_t i = 1; i < type->dims->size(); ++i) {
      if ((*type->dims)[i].is_known()) all.push_back(static_cast<double>((*type->dims)[i].size));
    }
  }
  return all;
}

Values ratio(const OpView& view) {
  Values all;
  const Argument written = view.attr("scale_factors");
  if (const std::vector<Argument>* factors = written.items()) {
    for (const Argument& factor : *factors) {
      if (const auto* real = factor.get_if<double>()) all.push_back(*real);
    }
    if (!all.empty()) return all;
  }
  const Type* from = input(view);
  const Type* to = result(view);
  for (size_t i = 2; from && to && i < to->dims->size() && i < from->dims->size(); ++i) {
    const Dim& small = (*from->dims)[i];
    const Dim& large = (*to->dims)[i];
    if (!small.is_known() || !large.is_known() || small.size == 0) continue;
    all.push_back(static_cast<double>(large.size) / static_cast<double>(small.size));
  }
  return all;
}

Values broadcast_operands(const OpView& view) {
  const Type* whole = result(view);
  if (!whole) return {};
  double count = 0;
  for (const Node* operand : view.operands()) {
    const Type* part = known(operand->type);
    if (!part || part->rank() > whole->rank()) return {};
    bool any = false;
    for (int axis = 0; axis < whole->rank(); ++axis) any |= broadcasts(*part, *whole, axis);
    if (any) ++count;
  }
  return {count};
}

Values broadcasts_over_batch(const OpView& view) {
  const Type* whole = result(view);
  if (!whole || whole->rank() == 0) return {};
  for (const Node* operand : view.operands()) {
    const Type* part = known(operand->type);
    if (!part || part->rank() > whole->rank()) return {};
    if (broadcasts(*part, *whole, 0)) return truth(true);
  }
  return truth(false);
}

Values reduced_dims(const OpView& view) {
  const Type* from = input(view);
  Values dims;
  for (const int64_t dim : view.attr_ints("dim")) {
    if (dim < 0 && !from) continue;
    dims.push_back(static_cast<double>(from ? from_front(dim, *from) : dim));
  }
  if (!dims.empty() || !from || !view.attr("dim").is_none()) return dims;
  for (int i = 0; i < from->rank(); ++i) dims.push_back(i);  // none: all of them
  return dims;
}

Values outer_dims_changed(const OpView& view) {
  const Type* from = input(view);
  const Type* to = result(view);
  if (!from || !to) return {};
  if (from->rank() < 2 || to->rank() < 2) return truth(true);
  return truth(!((*from->dims)[0] == (*to->dims)[0] && (*from->dims)[1] == (*to->dims)[1]));
}

Values moves_batch(const OpView& view) {
  const Type* from = input(view);
  if (!from) return {};
  const std::vector<int64_t> order = view.attr_ints("dims");
  if (!order.empty()) return truth(from_front(order[0], *from) != 0);
  const int64_t a = from_front(view.attr_int("dim0"), *from);
  const int64_t b = from_front(view.attr_int("dim1"), *from);
  return truth(a != b && (a == 0 || b == 0));
}

Values results_used_inside(const OpView& view) { return truth(!is_output_only(view.node())); }

Values indices_used_inside(const OpView& view) {
  for (const Node* user : view.node()->users()) {
    const auto* part = user->op() == OpId::kGetItem && user->args().size() > 1
                           ? user->args()[1].get_if<int64_t>()
                           : nullptr;
    if (part && *part == 1 && !is_output_only(user)) return truth(true);
  }
  return truth(false);
}

}  // namespace fxq::measures
