// AtenCall: one step "aten", parsed and checked against the operator's schema.
#pragma once

#include <ATen/core/ivalue.h>

#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/graph/node.h"
#include "fxq/runtime/kernel.h"

namespace fxq {

// What ATen throws, without the C++ backtrace.
std::string message_without_backtrace(const std::exception& error);

class AtenCall {
 public:
  // NotFound: LibTorch has no such operator. InvalidArgument: the arguments do not fit it.
  static absl::StatusOr<AtenCall> parse(const Step& step);

  bool is_torchscript() const { return torchscript_; }
  // It reads a packed sequence, whose sizes LibTorch does not check: only real ones may be given.
  bool reads_packed_sequence() const;
  // Runs the operator on the values of the step's inputs; results are flattened, depth first.
  absl::StatusOr<std::vector<c10::IValue>> run(const std::vector<c10::IValue>& inputs) const;
  // Runs a loaded TorchScript method of this schema (whose argument 0 is the module) instead.
  using Method = std::function<c10::IValue(std::vector<c10::IValue>)>;
  absl::StatusOr<std::vector<c10::IValue>> run_method(const std::vector<c10::IValue>& inputs,
                                                      const c10::FunctionSchema& schema,
                                                      const Method& method) const;

 private:
  // An argument: an input, a constant, or a list or tuple of those.
  struct Part {
    enum class Kind : uint8_t { kInput, kConstant, kList, kTuple, kDict };
    Kind kind = Kind::kConstant;
    int input = -1;
    Argument constant;
    std::vector<Part> children;
  };
  friend class PartReader;

  // Arguments of `schema` from its argument `skipped` on.
  absl::StatusOr<std::vector<c10::IValue>> arguments(const std::vector<c10::IValue>& inputs,
                                                     const c10::FunctionSchema& schema,
                                                     size_t skipped) const;

  const c10::FunctionSchema* schema_ = nullptr;
  bool torchscript_ = false;
  std::vector<Part> parts_;
};

}  // namespace fxq
