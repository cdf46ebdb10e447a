// Options and model -> one Status with every reason why the export cannot be done.
#include "fxq/export/export_checks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>

#include "fxq/export/typed_copy.h"
#include "fxq/graph/problems.h"

namespace fxq {
namespace {

void check_opset(const ExportOptions& options, Problems& problems) {
  if (options.opset_version < kOldestOpset || options.opset_version > kNewestOpset) {
    problems.add(fmt::format("opset_version {}: {} to {} can be written", options.opset_version,
                             kOldestOpset, kNewestOpset));
  }
}

void check_names(const std::vector<std::string>& names, const char* what, Problems& problems) {
  std::set<std::string> seen;
  for (const std::string& name : names) {
    if (!name.empty() && !seen.insert(name).second) {
      problems.add(fmt::format("{}: '{}' stands there twice", what, name));
    }
  }
}

}  // namespace

absl::Status check_export_options(const GraphModule& model, const ExportOptions& options) {
  Problems problems;
  check_opset(options, problems);
  const size_t inputs = model.graph().placeholders().size();
  if (options.input_names.size() > inputs) {
    problems.add(fmt::format("input_names has {} names; the model has {} input(s)",
                             options.input_names.size(), inputs));
  }
  std::vector<std::string> names = onnx_input_names(model, options);
  names.insert(names.end(), options.output_names.begin(), options.output_names.end());
  check_names(names, "input_names and output_names", problems);
  const std::set<std::string> known(names.begin(), names.end());
  for (const auto& [name, axes] : options.dynamic_axes) {
    const bool is_node = model.graph().find(name) != nullptr;
    if (known.count(name) || is_node) continue;
    problems.add(fmt::format("dynamic_axes: no input or output is named '{}'; inputs are {}", name,
                             fmt::join(onnx_input_names(model, options), ", ")));
  }
  return problems.status(absl::StatusCode::kInvalidArgument, "export_to_onnx");
}

}  // namespace fxq
