// text -> declarations (modules, tensors, settings), then the graph; all faults in one Status.
#include <exception>

#include "fxq/base/status.h"
#include "fxq/graph/declarations.h"
#include "fxq/graph/graph_reader.h"
#include "fxq/graph/text.h"

namespace fxq {
namespace {

absl::StatusOr<GraphModule> parse(std::string_view text, const ParseOptions& options) {
  Lexer lexer(text);
  Problems problems;
  GraphModule gm;
  Declarations declarations(lexer, options, problems);
  absl::Status status = declarations.read(gm);
  if (status.ok()) status = GraphReader(lexer, gm, declarations, problems).read();
  if (!status.ok()) problems.add(std::string(status.message()));
  FXQ_RETURN_IF_ERROR(problems.status(absl::StatusCode::kInvalidArgument));
  return gm;
}

}  // namespace

absl::StatusOr<GraphModule> parse_text(std::string_view text, const ParseOptions& options) {
  try {
    return parse(text, options);
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(error.what());
  }
}

}  // namespace fxq
