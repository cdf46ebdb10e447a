// name, what it does, function: every pass once.
#include "fxq/passes/registry.h"

#include <absl/strings/str_split.h>
#include <fmt/format.h>

#include "fxq/base/nearest.h"
#include "fxq/base/status.h"
#include "fxq/passes/cleanup.h"
#include "fxq/passes/equalize.h"
#include "fxq/passes/fuse_rules.h"
#include "fxq/passes/recompose.h"

namespace fxq {
namespace {

constexpr PassInfo kPasses[] = {
    {"constant_fold", "compute what depends on constants and frozen tensors only", constant_fold},
    {"cse", "merge calls that are sure to compute the same value", cse},
    {"dce", "remove calls, modules and tensors that nobody uses", dce},
    {"drop_guards", "make lines of the guards on shapes; nothing checks them any more",
     drop_guards},
    {"equalize", "balance the weights of layers that follow each other (for per-tensor scales)",
     equalize, false},
    {"fold_batch_norm", "fold batch norms of eval mode into the weighted op before them",
     fold_batch_norm, false},
    {"fuse", "fold_batch_norm, then make adds and activations epilogues of the op before them",
     fuse, false},
    {"fold_parameters", "compute what depends on parameters only (eval mode)", fold_parameters},
    {"open_lstm_cell", "write out torch's LSTM cells", open_lstm_cell, false},
    {"open_attention", "write out torch's fused transformer layers", open_attention, false},
    {"modularize", "turn functional ops whose parameters are attributes into modules", modularize},
    {"recompose", "make one op of what was written out: x * sigmoid(x) is silu(x)", recompose,
     false},
    {"scalar_parameters", "make numbers of parameters that have no dimensions (eval mode)",
     scalar_parameters},
    {"remove_identity", "remove what does nothing at inference: identity, dropout, detach, ...",
     remove_identity},
};

}  // namespace

absl::Span<const PassInfo> pass_table() { return kPasses; }

absl::StatusOr<std::unique_ptr<Pass>> make_pass(std::string_view name) {
  FXQ_ASSIGN_OR_RETURN(auto passes, make_passes(name));
  if (passes.size() != 1) return absl::InvalidArgumentError("expected the name of one pass");
  return std::move(passes[0]);
}

absl::StatusOr<std::vector<std::unique_ptr<Pass>>> make_passes(std::string_view comma_separated) {
  std::vector<std::string> known;
  for (const PassInfo& info : kPasses) known.emplace_back(info.name);
  std::vector<std::unique_ptr<Pass>> passes;
  std::string unknown;
  const std::vector<std::string> names =
      absl::StrSplit(std::string(comma_separated), absl::ByAnyChar(", "), absl::SkipEmpty());
  for (const std::string& name : names) {
    const PassInfo* found = nullptr;
    for (const PassInfo& info : kPasses) found = info.name == name ? &info : found;
    if (found) {
      passes.push_back(std::make_unique<FunctionPass>(name, found->run));
    } else {
      unknown += fmt::format("{}there is no pass \"{}\"; {}", unknown.empty() ? "" : "\n", name,
                             did_you_mean(name, known));
    }
  }
  if (!unknown.empty()) return absl::InvalidArgumentError(unknown);
  return passes;
}

}  // namespace fxq
