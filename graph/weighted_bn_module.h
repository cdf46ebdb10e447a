// WeightedBnModule: a weighted OpModule (conv, linear) and the batch norm behind it as one module:
// what fuse_fx makes in training mode, where the norm's statistics still move. To the graph it is
// the weighted op: same op, same schema, so adds and activations fuse into it as usual. Text kind
// "bn_" + the op's name; the norm's tensors and attributes carry the prefix "bn_". The norm is a
// module inside, so train() and to() reach it.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "fxq/graph/op_module.h"

namespace fxq {

class GraphModule;
struct ModuleSpec;

inline constexpr std::string_view kBatchNormPrefix = "bn_";

class WeightedBnModule : public OpModule {
 public:
  // Shares the tensors of both.
  WeightedBnModule(const OpModule& op, std::shared_ptr<OpModule> batch_norm);

  const std::shared_ptr<OpModule>& batch_norm() const { return bn_; }

  c10::IValue call(const std::string& method, std::vector<c10::IValue> inputs) override;
  std::string kind() const override;
  NamedTensors tensors() const override;
  NamedTensors known_tensors() const override;
  NamedAttributes attributes() const override;
  std::shared_ptr<LeafModule> clone_leaf() const override;
  void set_tensor(const std::string& name, at::Tensor tensor) override;

 private:
  std::shared_ptr<OpModule> bn_;
};

// For readers that take a call for its op alone: FailedPrecondition, naming `function` and the
// first such module.
absl::Status refuse_weighted_bn(const GraphModule& gm, std::string_view function);

// "bn_conv2d" and the like: the weighted op; kNone for other kinds.
OpId weighted_bn_op(std::string_view kind);
// Rebuilds one from its text form; `spec.kind` is one of the above.
absl::StatusOr<std::shared_ptr<LeafModule>> read_weighted_bn_module(const ModuleSpec& spec);

}  // namespace fxq
