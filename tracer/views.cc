// %v = slice(%x, 0, 2, 4)               %v = slice(%x, 0, 2, 4)
// fill_(%v, 1.0)                   ->   %f = fill(%v, 1.0)
// read(%x)                              %s = slice_scatter(%x, %f, 0, 2, 4);  read(%s)
#include "fxq/tracer/views.h"

#include <ATen/core/function_schema.h>

#include <optional>

#include "fxq/graph/graph.h"
#include "fxq/tracer/emitter.h"

namespace fxq {
namespace {

// How a view is put back: inverse(base, changed, the view's other arguments), or without the base
// where the view holds all of it.
struct Inverse {
  std::string_view view;
  std::string_view inverse;
  bool takes_base;
};

constexpr Inverse kInverses[] = {
    {"aten::slice.Tensor", "aten::slice_scatter", true},
    {"aten::select.int", "aten::select_scatter", true},
    {"aten::diagonal", "aten::diagonal_scatter", true},
    {"aten::unsqueeze", "aten::squeeze.dim", false},
    {"aten::transpose.int", "aten::transpose.int", false},
    {"aten::t", "aten::t", false},
    {"aten::detach", "aten::detach", false},
    {"aten::alias", "aten::alias", false},
};

const Inverse* inverse_of(const c10::FunctionSchema& schema) {
  for (const Inverse& row : kInverses) {
    if (row.view == overload_name(schema) && find_callee(row.inverse).schema) return &row;
  }
  return nullptr;
}

// Positions that a select or slice takes of args[1], its dim; nothing if they are not constant or
// count from the end.
struct Range {
  int64_t start, end;
};

std::optional<Range> range_of(const View& view) {
  const auto number = [&](size_t i, int64_t otherwise) -> std::optional<int64_t> {
    const Value& value = *view.args[i];
    if (value.is_none()) return otherwise;
    const auto known = constant_int(value);
    if (!known || *known < 0) return std::nullopt;
    return *known;
  };
  const bool selects = view.schema->name() == "aten::select";
  if (!selects && view.schema->name() != "aten::slice") return std::nullopt;
  const auto start = number(2, 0);
  const auto end = selects ? start : number(3, INT64_MAX);
  if (!start || !end) return std::nullopt;
  return Range{*start, selects ? *start + 1 : *end};
}

}  // namespace

bool are_disjoint(const Value& a, const Value& b) {
  if (!a.view || !b.view || a.view->args[0] != b.view->args[0]) return false;
  const auto dim = constant_int(*a.view->args[1]);
  if (a.view->schema != b.view->schema || !dim || dim != constant_int(*b.view->args[1])) {
    return false;
  }
  const auto x = range_of(*a.view);
  const auto y = range_of(*b.view);
  return x && y && (x->end <= y->start || y->end <= x->start);
}

bool show_the_same(const Value& a, const Value& b) {
  if (&a == &b) return true;
  if (!a.view || !b.view || a.view->schema != b.view->schema) return false;
  for (size_t i = 1; i < a.view->args.size(); ++i) {
    const Value& x = *a.view->args[i];
    const Value& y = *b.view->args[i];
    const bool none = x.is_none() && y.is_none();
    const auto number = constant_int(x);
    if (&x != &y && !none && !(number && number == constant_int(y))) return false;
  }
  return show_the_same(*a.view->args[0], *b.view->args[0]);
}

void note_view(const c10::FunctionSchema& schema, const std::vector<ValuePtr>& args,
               const ValuePtr& result) {
  if (inverse_of(schema)) result->view = std::make_shared<const View>(View{&schema, args});
}

ValuePtr view_root(const ValuePtr& value) {
  ValuePtr root = value;
  while (root->view) root = root->view->args[0];
  return root;
}

ValuePtr write_back(const ValuePtr& value, ValuePtr changed, const EmitCall& call) {
  for (ValuePtr at = value; at->view; at = at->view->args[0]) {
    const Inverse& row = *inverse_of(*at->view->schema);
    std::vector<ValuePtr> args = at->view->args;
    args.insert(args.begin() + 1, changed);
    if (!row.takes_base) args.erase(args.begin());
    changed = call(*find_callee(row.inverse).schema, std::move(args));
  }
  return changed;
}

ValuePtr show_again(const View& view, const ValuePtr& base, const EmitCall& call) {
  std::vector<ValuePtr> args = view.args;
  args[0] = base;
  return call(*view.schema, std::move(args));
}

}  // namespace fxq
