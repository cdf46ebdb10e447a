// verify, then for each pass: run, time, verify, compare, dump.
#include "fxq/passes/pipeline.h"

#include <absl/strings/str_split.h>
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "fxq/base/status.h"
#include "fxq/graph/text.h"
#include "fxq/graph/verifier.h"
#include "fxq/passes/registry.h"

namespace fxq {
namespace {

void dump_to_stderr(std::string_view pass, const std::string& text) {
  fmt::print(stderr, "# {}{}\n{}", pass.empty() ? "before all passes" : "after ", pass, text);
}

void read_environment(PipelineOptions& options) {
  if (const char* names = std::getenv("FXQ_DISABLE_PASSES")) {
    for (const auto& name : absl::StrSplit(names, absl::ByAnyChar(", "), absl::SkipEmpty())) {
      options.disabled.emplace(name.data(), name.size());
    }
  }
  const char* dump = std::getenv("FXQ_DUMP_PASSES");
  if (dump && *dump && !options.dump) options.dump = dump_to_stderr;
}

absl::Status verified(const GraphModule& gm, std::string_view when) {
  const absl::Status status = verify(gm);
  if (status.ok()) return status;
  return absl::InternalError(
      fmt::format("the graph is broken {}:\n{}", when, std::string(status.message())));
}

}  // namespace

Pipeline::Pipeline(std::vector<std::unique_ptr<Pass>> passes, PipelineOptions options)
    : passes_(std::move(passes)), options_(std::move(options)) {
  read_environment(options_);
}

absl::StatusOr<Pipeline> Pipeline::parse(std::string_view names, PipelineOptions options) {
  FXQ_ASSIGN_OR_RETURN(auto passes, make_passes(names));
  return Pipeline(std::move(passes), std::move(options));
}

absl::StatusOr<bool> Pipeline::run(GraphModule& gm) {
  runs_.clear();
  if (options_.verify) {
    FXQ_RETURN_IF_ERROR(
        verified(gm, passes_.empty() ? "" : fmt::format("before pass {}", passes_[0]->name())));
  }
  if (options_.dump) options_.dump("", print_text(gm));
  bool changed = false;
  for (const auto& pass : passes_) {
    PassRun& record = runs_.emplace_back();
    record.name = std::string(pass->name());
    record.skipped = options_.disabled.count(record.name) != 0;
    if (record.skipped) continue;
    FXQ_ASSIGN_OR_RETURN(const bool pass_changed, run_pass(*pass, gm, record));
    changed |= pass_changed;
  }
  return changed;
}

absl::StatusOr<bool> Pipeline::run_pass(Pass& pass, GraphModule& gm, PassRun& record) {
  const std::string before = options_.check_unchanged ? print_text(gm) : "";
  const auto start = std::chrono::steady_clock::now();
  absl::StatusOr<bool> result = pass.run(gm);
  const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start;
  record.milliseconds = time.count();
  if (!result.ok()) {
    return absl::Status(
        result.status().code(),
        fmt::format("pass {}: {}", record.name, std::string(result.status().message())));
  }
  record.changed = *result;
  if (options_.verify) {
    FXQ_RETURN_IF_ERROR(verified(gm, fmt::format("after pass {}", record.name)));
  }
  if (options_.check_unchanged && !record.changed && print_text(gm) != before) {
    return absl::InternalError(
        fmt::format("pass {} changed the graph but said that it did not", record.name));
  }
  if (options_.dump && record.changed) options_.dump(record.name, print_text(gm));
  return result;
}

}  // namespace fxq
