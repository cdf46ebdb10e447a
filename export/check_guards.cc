// guard(gt_int(size(%x, 0), 4), ...) with x: f32[N,4]    refused: N decides; an assert: told
#include "fxq/export/check_guards.h"

#include <algorithm>

#include "fxq/graph/guard_text.h"
#include "fxq/graph/problems.h"
#include "fxq/graph/view.h"

namespace fxq {
namespace {

// A size that the file leaves open, or what was made of one.
bool is_open(const GraphModule& model, const GraphModule& typed, const Node* node) {
  if (node->op() != OpId::kSize && node->op() != OpId::kSizes) {
    return std::any_of(node->inputs().begin(), node->inputs().end(),
                       [&](const Node* input) { return is_open(model, typed, input); });
  }
  const OpView view(model, node);
  const Node* seen = typed.graph().find(view.operand(0)->name());
  if (!seen || !seen->type.dims) return true;
  const Type& type = seen->type;
  const int64_t rank = type.rank();
  const int64_t dim = view.attr_int("dim", rank);
  const auto open = [](const Dim& each) { return !each.is_known(); };
  if (node->op() == OpId::kSizes || dim >= rank || dim < -rank) {
    return std::any_of(type.dims->begin(), type.dims->end(), open);
  }
  return open((*type.dims)[static_cast<size_t>(dim < 0 ? dim + rank : dim)]);
}

}  // namespace

// ONNX checks nothing while it runs: what was decided for the example has to hold for every size
// that the file takes.
absl::StatusOr<std::vector<std::string>> check_guards(const GraphModule& model,
                                                      const GraphModule& typed) {
  Problems problems;
  std::vector<std::string> asserts;
  for (const Node* guard : model.graph().find_all(OpId::kGuard)) {
    if (!is_open(model, typed, guard)) continue;
    const std::string& text = guard->args().at(1).get<std::string>();
    if (is_assert(*guard)) {
      asserts.push_back(text);
    } else {
      problems.add(text);
    }
  }
  const absl::Status status =
      problems.status(absl::StatusCode::kInvalidArgument,
                      "the graph holds for some sizes of a dynamic axis only, and ONNX could "
                      "not check it; leave that axis out of dynamic_axes");
  if (!status.ok()) return status;
  return asserts;
}

}  // namespace fxq
