// Attributes that a block of TorchScript sets become variables of its graph: what it reads before
// comes in as a value, what it leaves goes out as one. A value that serves one graph.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace torch::jit {
struct Block;
struct Graph;
struct Node;
struct Value;
}  // namespace torch::jit

namespace fxq {

class AttributeWrites {
 public:
  // An object of the graph that is known outside, or null.
  using ObjectOf = std::function<const void*(const torch::jit::Value*)>;
  // The value of an attribute before the graph runs.
  using ValueBefore = std::function<torch::jit::Value*(const torch::jit::Node* set)>;

  explicit AttributeWrites(ObjectOf object_of) : object_of_(std::move(object_of)) {}

  struct Written {
    const torch::jit::Node* set;  // a prim::SetAttr of it; dead after run()
    const void* object;
    std::string name;
    torch::jit::Value* after;
  };
  // Replaces every GetAttr and SetAttr of the attributes that `graph` sets. In the order in which
  // the graph first sets them.
  std::vector<Written> run(torch::jit::Graph& graph, const ValueBefore& before);

 private:
  using Key = std::pair<const void*, std::string>;
  using Values = std::map<Key, torch::jit::Value*>;

  void find(torch::jit::Block* block, std::vector<Written>& found) const;
  void run_block(torch::jit::Block* block, Values& values);
  void run_access(torch::jit::Node* node, Values& values);
  void run_if(torch::jit::Node* node, Values& values);
  void run_loop(torch::jit::Node* node, Values& values);
  Key key_of(const torch::jit::Node* access) const;

  ObjectOf object_of_;
  std::vector<torch::jit::Node*> dead_;
};

}  // namespace fxq
