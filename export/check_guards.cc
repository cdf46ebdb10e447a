// guard(gt_int(size(%x, 0), 4), ...) with x: f32[N,4]    refused: N decides; an assert: told
#include "fxq/export/check_guards.h"

#include "fxq/export/open_sizes.h"
#include "fxq/graph/guard_text.h"
#include "fxq/graph/problems.h"

namespace fxq {

// ONNX checks nothing while it runs: what was decided for the example has to hold for every size
// that the file takes.
absl::StatusOr<std::vector<std::string>> check_guards(const GraphModule& model,
                                                      const GraphModule& typed) {
  Problems problems;
  std::vector<std::string> asserts;
  OpenSizes open([&](const Node& node) {
    const Node* seen = typed.graph().find(node.name());
    return seen ? seen->type : Type::tensor();
  });
  for (const Node* guard : model.graph().find_all(OpId::kGuard)) {
    if (!open.decide(*guard)) continue;
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
