// GraphModule: a graph and everything its nodes name: leaf modules by path and tensors by path.
// Movable, not copyable: copy() says what is shared. It trains: parameters() go to torch::optim,
// train(), to() and autograd work as on a torch::nn::Module.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/graph/graph.h"

namespace at {
class Tensor;
}
namespace c10 {
struct IValue;
}

namespace fxq {

class LeafModule;
class OpModule;

class GraphModule {
 public:
  GraphModule();
  ~GraphModule();
  GraphModule(GraphModule&&) noexcept;
  GraphModule& operator=(GraphModule&&) noexcept;

  Graph& graph() { return *graph_; }
  const Graph& graph() const { return *graph_; }

  // -- modules and tensors by dotted path
  std::shared_ptr<LeafModule> module(std::string_view path) const;  // null if absent
  OpModule* op_module(const Node& node) const;    // of a call_module of an OpModule, else null
  std::vector<std::string> module_paths() const;  // sorted
  void set_module(std::string_view path, std::shared_ptr<LeafModule> module);
  at::Tensor tensor(std::string_view path) const;  // undefined if absent
  std::vector<std::string> tensor_paths() const;   // sorted
  // Parameters are what trains; anything else is a buffer.
  void set_tensor(std::string_view path, at::Tensor tensor);
  // Drops modules and tensors that no node names. Returns how many.
  int remove_unused();
  // "path", or "path_1", ... if that is taken.
  std::string unique_path(std::string_view path) const;

  // Builds a call of the module at `path` (which must exist) at the graph's insertion point.
  Node* call_module(std::string_view path, std::vector<Argument> args, Kwargs kwargs = {},
                    std::string_view name_hint = "");

  // -- as a torch::nn::Module
  std::vector<std::pair<std::string, at::Tensor>> named_parameters() const;
  std::vector<std::pair<std::string, at::Tensor>> named_buffers() const;
  std::vector<at::Tensor> parameters() const;
  void train(bool on = true);
  void eval() { train(false); }
  bool is_training() const { return training_; }
  void to(const std::string& device);

  // Runs the graph on the inputs, one per placeholder. Several inputs share no state: as safe to
  // call from two threads as the modules are. Errors name node, module path and source line.
  absl::StatusOr<c10::IValue> forward(std::vector<c10::IValue> inputs) const;

  // Clones the structure and the module objects, shares the tensors; tied tensors stay tied.
  enum class Copy { kShareTensors, kCloneBuffers, kCloneAll };
  GraphModule copy(Copy what = Copy::kShareTensors) const;
  // The same with an empty graph: what a transformed graph starts from.
  GraphModule copy_without_graph(Copy what = Copy::kShareTensors) const;

  // Settings that travel with the model through copy, save and load: "march", "stage", ...
  std::map<std::string, std::string> settings;
  // Report lines of passes ("relu at %r: %c has 2 users"); not saved.
  std::vector<std::string> notes;
  // Conditions that capture took for granted (shapes, asserts), in words, with source lines.
  std::vector<std::string> guards;

 private:
  struct Store;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Graph> graph_;
  bool training_ = false;
};

}  // namespace fxq
