// guard(%even, "net.py:7: must not raise: odd")    a line of guards; %even and the size that it
//                                                  reads are gone
#include "fxq/base/status.h"
#include "fxq/passes/cleanup.h"

namespace fxq {

absl::StatusOr<bool> drop_guards(GraphModule& gm) {
  const std::vector<Node*> guards = gm.graph().find_all(OpId::kGuard);
  if (guards.empty()) return false;
  for (Node* guard : guards) {
    gm.guards.push_back(guard->args().at(1).get<std::string>());
    FXQ_RETURN_IF_ERROR(gm.graph().erase(guard));
  }
  FXQ_RETURN_IF_ERROR(dce(gm).status());
  return true;
}

}  // namespace fxq
