// Pipeline: runs passes in order on one GraphModule, verifies it before the first and after each
// (a violation is Internal and names the pass), times them, and can dump the text or skip a pass.
// It owns its passes. After an error the GraphModule is valid but half-way: callers copy first.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/passes/pass.h"

namespace fxq {

struct PipelineOptions {
  bool verify = true;
  // Names of passes to skip. FXQ_DISABLE_PASSES=cse,dce adds to it.
  std::set<std::string, std::less<>> disabled;
  // Called with the pass's name ("" before the first) and the text, whenever something changed.
  // FXQ_DUMP_PASSES=1 writes it to stderr if this is empty.
  std::function<void(std::string_view pass, const std::string& text)> dump;
  // Prints before and after each pass and fails one that changed something but said it did not.
  bool check_unchanged = false;
};

struct PassRun {
  std::string name;
  bool changed = false;
  bool skipped = false;
  double milliseconds = 0;  // of the pass alone, without verification
};

class Pipeline {
 public:
  explicit Pipeline(std::vector<std::unique_ptr<Pass>> passes, PipelineOptions options = {});
  // Passes by name: "modularize, fuse, dce" (registry.h).
  static absl::StatusOr<Pipeline> parse(std::string_view names, PipelineOptions options = {});

  // True if any pass changed something.
  absl::StatusOr<bool> run(GraphModule& gm);

  // Of the latest run, one line per pass.
  const std::vector<PassRun>& runs() const { return runs_; }

 private:
  absl::StatusOr<bool> run_pass(Pass& pass, GraphModule& gm, PassRun& record);

  std::vector<std::unique_ptr<Pass>> passes_;
  PipelineOptions options_;
  std::vector<PassRun> runs_;
};

}  // namespace fxq
