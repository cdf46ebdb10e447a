// One branch or body of opened control flow on its way into a graph of its own: what it reads from
// outside, and the walk over its code. Used by open_block.cc and open_code.cc alone; borrows the
// outer reader.
#pragma once

#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "fxq/tracer/script_reader.h"

namespace fxq {

// What the code of blocks reads from outside, and which lists, dicts and tensors among it change.
struct Captured {
  std::vector<const torch::jit::Value*> values;
  std::set<const torch::jit::Value*> written;
  std::set<size_t> own_written;  // inputs of the block itself that change
  bool writes_inside = false;    // a list inside a list
  bool writes_items = false;     // a tensor inside a list or dict
};

// Adds what this block's code reads and changes.
void add_captured(const torch::jit::Block* block, Captured& captured);

bool is_tensor(const Value& value);

// Both show, or hold tensors that show, the same memory.
bool share_memory(const ValuePtr& one, const ValuePtr& other);

// Another value than `tensor` that shows its memory, or holds one that does.
bool shows(const ValuePtr& value, const Value& tensor);

// `other` changes when `written` is written into: the same, or memory of a tensor that both show.
bool changes_with(const ValuePtr& other, const ValuePtr& written);

// Nodes inside values, each once: the operands of the call.
std::vector<Node*> nodes_in(const std::vector<ValuePtr>& values);

class OpenedBody {
 public:
  explicit OpenedBody(ScriptReader& outer);

  ValuePtr input(const std::string& name, const c10::TypePtr& type);
  // Placeholders for the operands of the call.
  void take_operands(const std::vector<Node*>& nodes);
  // The outer value as the body sees it; the same cell for the same value.
  ValuePtr inside(const ValuePtr& outer);
  void bind(const torch::jit::Value* value, const ValuePtr& known) { reader_.bind(value, known); }
  ScriptReader& reader() { return reader_; }

  // Runs the block's code and returns its outputs.
  std::vector<ValuePtr> run(const torch::jit::Block* block);
  // The graph, which returns a tuple. Problems and guards become the outer reader's.
  GraphModule finish(std::vector<ValuePtr> outputs);

 private:
  ScriptReader& outer_;
  GraphModule gm_;
  ScriptReader reader_;
  std::unordered_map<const Node*, Node*> placeholders_;
  std::unordered_map<const Value*, ValuePtr> mirrored_;
};

}  // namespace fxq
