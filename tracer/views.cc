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

const OpDef& row_of(const c10::FunctionSchema& schema) {
  return op_def(op_from_overload(overload_name(schema)));
}

// The op that puts a changed part back; null if the view has none, or this LibTorch lacks it.
const c10::FunctionSchema* inverse_of(const c10::FunctionSchema& schema) {
  const OpDef& row = row_of(schema);
  const std::string_view target = row.written_back_by.empty() ? row.undone_by : row.written_back_by;
  return target.empty() ? nullptr : find_callee(target).schema;
}

// Positions that a select or slice takes of a dim; nothing if they are not constant or count from
// the end.
struct Range {
  int64_t dim, start, end;
};

std::optional<Range> range_of(const View& view) {
  const auto position = [&](size_t i, int64_t otherwise) -> std::optional<int64_t> {
    const Value& value = *view.args[i];
    if (value.is_none()) return otherwise;
    const auto known = constant_int(value);
    if (!known || *known < 0) return std::nullopt;
    return *known;
  };
  const OpId op = row_of(*view.schema).id;
  if (op != OpId::kSelect && op != OpId::kSlice) return std::nullopt;
  const auto dim = constant_int(*view.args[1]);
  const auto start = position(2, 0);
  const auto end = op == OpId::kSelect ? start : position(3, INT64_MAX);
  if (!dim || !start || !end) return std::nullopt;
  return Range{*dim, *start, op == OpId::kSelect ? *start + 1 : *end};
}

}  // namespace

bool are_disjoint(const Value& a, const Value& b) {
  if (!a.view || !b.view || a.view->args[0] != b.view->args[0]) return false;
  const auto x = range_of(*a.view);
  const auto y = range_of(*b.view);
  return x && y && x->dim == y->dim && (x->end <= y->start || y->end <= x->start);
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
    const c10::FunctionSchema& view = *at->view->schema;
    std::vector<ValuePtr> args = at->view->args;
    args.insert(args.begin() + 1, changed);
    if (row_of(view).written_back_by.empty()) args.erase(args.begin());
    changed = call(*inverse_of(view), std::move(args));
  }
  return changed;
}

ValuePtr show_again(const View& view, const ValuePtr& base, const EmitCall& call) {
  std::vector<ValuePtr> args = view.args;
  args[0] = base;
  return call(*view.schema, std::move(args));
}

}  // namespace fxq
