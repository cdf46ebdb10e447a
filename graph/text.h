// The text form: one grammar for dumps, golden tests, bug reports, docs and artifacts (README.md
// has it). print and parse are inverses. Weights are not printed; `state` lines can seed them, so
// that a text alone can run.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"
#include "fxq/graph/leaf_module.h"

namespace fxq {

struct PrintOptions {
  // Owners, source lines, origins and modes of nodes, class names of modules: what save() needs.
  bool annotations = false;
  bool types = true;
};

std::string print_text(const GraphModule& gm, const PrintOptions& options = {});
// fx's tabular form: opcode, name, target, args, kwargs; for people.
std::string print_tabular(const GraphModule& gm);

// What a `module` line says; a factory turns it into a module.
struct ModuleSpec {
  std::string path;
  std::string kind;        // "conv2d", "fake_quantize", ...
  std::string class_name;  // from the annotation, or the kind
  NamedTensors tensors;    // of the written types; zeros until state or `tensors` fill them;
                           // undefined for "opaque", whose code brings its own
  NamedAttributes attributes;
};
using ModuleFactory = std::function<absl::StatusOr<std::shared_ptr<LeafModule>>(const ModuleSpec&)>;

struct ParseOptions {
  // Kinds beyond the op table's ("fake_quantize", ...).
  std::map<std::string, ModuleFactory> factories;
  // Contents of module tensors and get_attr tensors by path; fills what it names.
  std::map<std::string, at::Tensor> tensors;
  // A declared tensor that `tensors` lacks is an error, not zeros.
  bool tensors_required = false;
  // What all tensors without contents may take together: a text of a few bytes must not ask for
  // all memory.
  int64_t most_bytes = int64_t{4} << 30;
};

// Errors say line, column, what was read and what was expected.
absl::StatusOr<GraphModule> parse_text(std::string_view text, const ParseOptions& options = {});
absl::StatusOr<Type> parse_type(std::string_view text);

}  // namespace fxq
