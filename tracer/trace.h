// trace: a TorchScript module, scripted or traced, becomes a GraphModule that computes exactly what
// its forward computes. The graph shares the caller's tensors and never changes the caller's
// module. What can't be captured ends in a Status that names every such source line; nothing is
// lost silently: checks that the code makes on its inputs are listed in GraphModule::guards.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"
#include "fxq/tracer/wrap.h"

namespace c10 {
struct IValue;
}
namespace torch::jit {
struct Module;
}

namespace fxq {

struct TraceOptions {
  TraceOptions();
  ~TraceOptions();
  TraceOptions(const TraceOptions&);
  TraceOptions& operator=(const TraceOptions&);

  // The mode in which code reads `self.training`. Afterwards GraphModule::train() switches what
  // depends on it in an op (dropout, batch norm), not which code was captured.
  enum class Mode { kAsModule, kEval, kTrain };

  // Optional: gives every node its type, and decides branches on shapes for shapes like these.
  // The inputs are not changed.
  std::vector<c10::IValue> example_inputs;
  // Arguments of the method by name, no tensors, that are no inputs of the graph but have this
  // value: branches on them are taken. Example inputs are those of the other arguments.
  std::map<std::string, c10::IValue> concrete_args;
  // Class names or module paths to keep whole, beside torch.nn's and the wrapped ones.
  std::vector<std::string> leaves;
  const WrapRegistry* wraps = nullptr;  // null: the process-wide one
  Mode mode = Mode::kAsModule;
  std::string method = "forward";
};

// Traces as its options say. Derive from it to choose leaves by a rule.
class Tracer {
 public:
  explicit Tracer(TraceOptions options = {});
  virtual ~Tracer();

  // Whether a call of the module becomes one node; if not, its code is read in place. Asked for
  // every module whose forward is called but the root; `type_name` is Python's
  // ("torch.nn.modules.conv.Conv2d"), `path` is "layer1.0.conv1". By default torch.nn's own classes
  // but its containers, as in torch.fx; those whose code is several ops (MultiheadAttention) are
  // read in place nevertheless. A class that is a leaf here and not by default stays TorchScript,
  // whole.
  virtual bool is_leaf_module(const std::string& type_name, const std::string& path) const;

  absl::StatusOr<GraphModule> trace(const torch::jit::Module& module) const;
  const TraceOptions& options() const { return options_; }

 private:
  absl::StatusOr<GraphModule> read(const torch::jit::Module& module) const;
  absl::StatusOr<GraphModule> read_with_state(const torch::jit::Module& module,
                                              std::set<std::string>& state) const;
  // Adds to `state` what it found to be state, for a reading that knows it.
  absl::StatusOr<GraphModule> read_once(const torch::jit::Module& module,
                                        std::set<std::string>& state) const;

  TraceOptions options_;
};

// Tracer(options).trace(module)
absl::StatusOr<GraphModule> trace(const torch::jit::Module& module,
                                  const TraceOptions& options = {});

// Loads and traces. Errors say whether the file is missing, cut short, no archive, or a pickle of a
// state_dict or Python module, and what to save instead.
absl::StatusOr<GraphModule> trace_file(const std::string& path, const TraceOptions& options = {});
absl::StatusOr<torch::jit::Module> load_script_module(const std::string& path);

// Loads a shared library for the operators that it registers (TORCH_LIBRARY), for the life of the
// process: models that call them load, trace and run afterwards.
absl::Status load_operator_library(const std::string& path);

}  // namespace fxq
