// An interpreter over the nodes so far that remembers what it has computed.
#include "fxq/tracer/example_runner.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>

#include "fxq/graph/interpreter.h"

namespace fxq {
namespace {

using Known = std::unordered_map<const Node*, c10::IValue>;

class RememberingInterpreter : public Interpreter {
 public:
  RememberingInterpreter(const GraphModule& gm, Known& known) : Interpreter(gm), known_(known) {}

 protected:
  absl::StatusOr<c10::IValue> run_node(const Node& node, std::vector<c10::IValue> args,
                                       std::vector<c10::IValue> kwargs) override {
    const auto found = known_.find(&node);
    if (found != known_.end()) return found->second;
    auto value = Interpreter::run_node(node, std::move(args), std::move(kwargs));
    if (value.ok()) known_[&node] = *value;
    return value;
  }

  absl::Status on_value(const Node& node, c10::IValue& value) override {
    if (node.is_call()) return absl::OkStatus();
    const auto [entry, is_new] = known_.emplace(&node, value);
    if (is_new) entry->second = value.deepcopy();
    value = entry->second;
    return absl::OkStatus();
  }

 private:
  Known& known_;
};

}  // namespace

ExampleRunner::ExampleRunner(const GraphModule& gm, std::vector<c10::IValue> inputs)
    : gm_(gm), inputs_(std::move(inputs)) {}

absl::StatusOr<c10::IValue> ExampleRunner::value_of(const Node* node) {
  const auto found = known_.find(node);
  if (found != known_.end()) return found->second;
  at::NoGradGuard no_grad;
  RememberingInterpreter interpreter(gm_, known_);
  const absl::Status status = interpreter.run(inputs_).status();
  const auto computed = known_.find(node);
  if (computed == known_.end()) return status;
  return computed->second;
}

}  // namespace fxq
