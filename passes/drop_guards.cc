// guard(%even, "net.py:7: must not raise: odd")    removed, with %even and the size that it reads
#include "fxq/base/status.h"
#include "fxq/passes/cleanup.h"

namespace fxq {

absl::StatusOr<std::vector<std::string>> drop_guards(GraphModule& gm) {
  std::vector<std::string> messages;
  for (Node* guard : std::vector<Node*>(gm.graph().find_all(OpId::kGuard))) {
    messages.push_back(guard->args().at(1).get<std::string>());
    FXQ_RETURN_IF_ERROR(gm.graph().erase(guard));
  }
  FXQ_RETURN_IF_ERROR(dce(gm).status());
  return messages;
}

}  // namespace fxq
