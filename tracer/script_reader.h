// ScriptReader: walks TorchScript code with abstract values (value.h) and has an Emitter write down
// the calls that remain: constants are folded, module attributes resolved to paths, functions and
// submodules read in place, branches with known conditions taken, loops unrolled.
// With emitter.h's neighbours leaf.* and opaque_block.* the only code that reads torch::jit IR.
// Problems are collected, not thrown: the walk goes on with poison so that one run reports them
// all.
#pragma once

#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>

#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "fxq/tracer/emitter.h"
#include "fxq/tracer/wrap.h"

namespace fxq {

class BlockBuilder;
class BlockOpener;
class ExampleRunner;
class OpenedBody;
class Tracer;

// self.layers[i]; the part's attribute, "0".
inline constexpr const char* kModuleIndex = "prim::ModuleContainerIndex";
std::string module_name(const c10::IValue& key);

// A guard's text.
std::string state_is_not_kept(const std::string& path);

struct ReaderOptions {
  std::vector<std::string> leaves;
  const WrapRegistry* wraps = nullptr;
  const Tracer* tracer = nullptr;  // whose leaves; never null while reading
  bool training = false;
  bool as_module = true;             // the mode is the module's own: what it froze stays frozen
  ExampleRunner* example = nullptr;  // null: none
  std::set<std::string> state;       // attributes whose values stay for the next call
  bool open_blocks = false;          // what data decide becomes BlockModules, not TorchScript
};

class ScriptReader {
 public:
  ScriptReader(GraphModule& gm, const torch::jit::Module& root, ReaderOptions options);

  ValuePtr root() const { return root_; }
  Emitter& emitter() { return emitter_; }
  // A module below the root as a value.
  ValuePtr module_value(const torch::jit::Module& module, const std::string& fallback_path);

  // Reads a method's code with these arguments (without self).
  ValuePtr run_method(const ValuePtr& module, const std::string& method,
                      std::vector<ValuePtr> args);

  // What could not be captured, one message per source line.
  const std::vector<std::string>& problems() const { return problems_; }
  const std::vector<std::string>& guards() const { return guards_; }
  int opaque_blocks() const { return opaque_blocks_; }
  // To be called once, after the whole code: what the attributes hold from here on. `result` is
  // what will be returned.
  void store_state(const ValuePtr& result);
  bool stores_state() const { return !stored_.empty(); }
  // Attributes that must be ReaderOptions::state, or their values are lost.
  const std::set<std::string>& lost_state() const { return lost_state_; }

 private:
  using JitNode = torch::jit::Node;
  using JitValue = torch::jit::Value;
  using JitBlock = torch::jit::Block;

  // One function being read.
  struct Frame {
    std::unordered_map<const JitValue*, ValuePtr> values;
    const JitNode* current = nullptr;
    Site site;                // stamped on the nodes it emits
    bool library = false;     // code of torch itself: nodes carry the caller's source line
    std::string call_source;  // the caller's line, if it is known
  };

  // -- walking (script_reader.cc)
  ValuePtr run_graph(const torch::jit::Graph& graph, const std::vector<ValuePtr>& args,
                     const Owner& owner, bool library);
  void run_block(const JitBlock* block);
  void step(const JitNode* node);
  void dispatch(const JitNode* node);
  void bind(const JitValue* value, ValuePtr known) { frame().values[value] = std::move(known); }
  const ValuePtr& get(const JitValue* value);
  std::vector<ValuePtr> inputs(const JitNode* node);
  Frame& frame() { return frames_.back(); }
  void problem(const JitNode* node, const std::string& what);
  void poison_outputs(const JitNode* node);
  std::string source_of(const JitNode* node) const;
  std::string line_of(const JitNode* node) const;
  bool used_later(const Value& value, const Value* not_through = nullptr) const;

  // -- operators (operators.cc)
  void call_operator(const JitNode* node);
  bool fold(const JitNode* node, const std::vector<ValuePtr>& args);
  ValuePtr ask_instance(const JitNode* node, const ValuePtr& value);
  bool fold_identity(const JitNode* node, const std::vector<ValuePtr>& args);
  std::optional<bool> is_same_object(const JitNode* node, const ValuePtr& left,
                                     const ValuePtr& right);
  std::optional<bool> is_instance(const JitNode* node, const ValuePtr& value);
  bool fold_count(const JitNode* node, const ValuePtr& list);
  bool fold_size(const JitNode* node, const std::vector<ValuePtr>& args);
  bool fold_known_size(const JitNode* node, const std::vector<ValuePtr>& args);
  bool fold_rank(const JitNode* node, const ValuePtr& tensor);
  bool fold_fraction(const JitNode* node, const std::vector<ValuePtr>& args);
  bool fold_number(const JitNode* node, const std::vector<ValuePtr>& args);
  void emit_operator(const JitNode* node, const std::vector<ValuePtr>& args);

  // -- containers (containers.cc)
  bool call_container(const JitNode* node, std::vector<ValuePtr> args);
  std::optional<int64_t> count_of(const ValuePtr& list);
  ValuePtr taken_apart(const JitNode* node, const ValuePtr& list);
  void construct(const JitNode* node);
  ValuePtr constructed(const JitNode* node);
  void unpack(const JitNode* node);
  void guard_count(const JitNode* node, const ValuePtr& list);
  void unpack_tuple(const JitNode* node, const ValuePtr& all);

  // -- modules and functions (modules.cc)
  std::string module_path(const torch::jit::Module& module, const std::string& otherwise);
  void note_tensors();
  std::string tensor_path(const at::Tensor& tensor, const std::string& otherwise);
  void get_attribute(const JitNode* node);
  void choose_module(const JitNode* node);
  void set_attribute(const JitNode* node);
  void set_attribute(const ValuePtr& object, const std::string& name, const ValuePtr& value);
  ValuePtr attribute(const ValuePtr& object, const std::string& name);
  ValuePtr read_attribute(const ValuePtr& object, const std::string& name);
  ValuePtr number_value(const ValuePtr& object, const std::string& name, const c10::IValue& value);
  ValuePtr attribute_value(const c10::IValue& value, const c10::TypePtr& type,
                           const std::string& path);
  void call_method(const JitNode* node);
  void call_function(const JitNode* node);
  void fork(const JitNode* node);
  Owner owner_of(const ValuePtr& module) const;

  // -- state (state.cc)
  using AttributeKey = std::pair<const void*, std::string>;
  struct Stored {
    AttributeKey key;
    std::string path;
    ValuePtr before;  // what the attribute was, if anybody read it
    Node* buffer;     // its get_attr, if it is a tensor
    bool was_read;
  };
  static AttributeKey key_of(const ValuePtr& object, const std::string& name);
  ValuePtr slot_value(const std::string& path, const c10::TypePtr& type, const c10::IValue& value);
  ValuePtr state_tensor(const std::string& path, const at::Tensor& tensor);
  void store(const ValuePtr& object, const std::string& name, const ValuePtr& value);
  void note_lost(const Stored& stored);
  ValuePtr as_tensor(const ValuePtr& buffer, ValuePtr number);
  void keep_old(const ValuePtr& result);
  // A list or dict of an attribute that the code changes in place.
  void change_state(const JitNode* node, const ValuePtr& container);

  // -- leaves (leaf.cc)
  bool is_leaf(const ValuePtr& module, const std::string& method) const;
  bool is_wrapped(const ValuePtr& module, const std::string& method) const;
  bool is_wrapped(c10::Symbol kind) const;
  bool is_leaf_by_default(const ValuePtr& module) const;
  bool stays_whole(const ValuePtr& module, const std::string& method) const;
  ValuePtr call_leaf(const ValuePtr& module, const std::string& method,
                     const std::vector<ValuePtr>& args, const JitNode* node);
  ValuePtr call_opaque_module(const ValuePtr& module, const std::string& method,
                              const std::vector<ValuePtr>& args, const JitNode* node);

  // -- control flow (control_flow.cc)
  void run_if(const JitNode* node);
  void run_loop(const JitNode* node);
  void raise(const JitNode* node);
  bool guard_raise(const JitNode* node);
  void take_branch(const JitNode* node, bool condition);
  c10::optional<c10::IValue> decide(const JitNode* node, const ValuePtr& value);
  void guard(const std::string& text);
  // The same; checked by a node where `value`, a bool or an int, depends on shapes alone.
  void guard(const std::string& text, const ValuePtr& value, const c10::IValue& holds);

  // -- opaque blocks (opaque_block.cc)
  void run_opaque(const JitNode* node, const std::vector<ValuePtr>& loop_state, int64_t first_trip);
  ValuePtr call_opaque_graph(std::shared_ptr<torch::jit::Graph> graph, std::vector<ValuePtr> args,
                             const std::string& name, const JitNode* node);

  ValuePtr finish_opaque(BlockBuilder& builder, const std::string& name, const JitNode* node);

  // -- opened blocks (open_block.cc)
  void open_if(const JitNode* node);
  void open_loop(const JitNode* node, const std::vector<ValuePtr>& state, int64_t first_trip);
  bool extend_list(const JitNode* node, const std::vector<ValuePtr>& args);

  friend class BlockBuilder;
  friend class BlockOpener;
  friend class OpenedBody;

  GraphModule& gm_;
  torch::jit::Module script_;
  ReaderOptions options_;
  Emitter emitter_;
  ValuePtr root_;
  std::vector<Frame> frames_;
  std::unordered_map<const void*, std::string> module_paths_;  // by module object
  std::unordered_map<const void*, ValuePtr> modules_;
  std::map<AttributeKey, ValuePtr> attributes_;
  std::set<AttributeKey> read_attributes_;  // of modules
  std::map<AttributeKey, ValuePtr> state_buffers_;
  std::map<AttributeKey, std::string> attribute_paths_;
  std::map<std::string, std::string> slots_;    // module by attribute
  std::map<std::string, Node*> state_tensors_;  // get_attr by attribute
  std::vector<Stored> stored_;                  // in the order of the code
  std::set<std::string> lost_state_;
  std::unordered_map<std::string, std::string> tensor_paths_;  // by memory; filled when it is asked
  std::vector<std::string> problems_;
  std::vector<std::string> guards_;
  std::set<std::string> guarded_;
  int opaque_blocks_ = 0;
};

}  // namespace fxq
