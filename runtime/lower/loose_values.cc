//   %p = opaque @loop(%x, []) : (f32[2,8], list(f32[2,8]))
//   %l = getitem(%p, 1) : list(f32[2,8])
//   %s = stack(%l, 1) : f32[2,?,8]          ->   %s = opaque @stack_part(%x) : f32[2,?,8]
// A part is closed under "on a path between two of its calls": it can run at one moment.
#include "fxq/runtime/lower/loose_values.h"

#include <ATen/core/function_schema.h>
#include <ATen/core/jit_type.h>
#include <fmt/format.h>
#include <torch/csrc/jit/api/module.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "fxq/base/status.h"
#include "fxq/graph/opaque_module.h"
#include "fxq/graph/to_torchscript.h"

namespace fxq {
namespace {

bool is_loose(const c10::TypePtr& type) {
  switch (type->kind()) {
    case c10::TypeKind::ListType:
    case c10::TypeKind::DictType:
    case c10::TypeKind::OptionalType:
    case c10::TypeKind::StringType:
    case c10::TypeKind::NoneType:
      return true;
    case c10::TypeKind::TupleType: {
      const auto elements = type->containedTypes();
      return std::any_of(elements.begin(), elements.end(), is_loose);
    }
    default:
      return false;
  }
}

bool is_loose(const Type& type) {
  switch (type.kind) {
    case Type::Kind::kList:
    case Type::Kind::kDict:
    case Type::Kind::kOptional:
    case Type::Kind::kStr:
    case Type::Kind::kNone:
      return true;
    case Type::Kind::kTuple:
      return std::any_of(type.elements.begin(), type.elements.end(),
                         [](const Type& element) { return is_loose(element); });
    default:
      return false;
  }
}

bool takes_dict(const Node& node) {
  const auto& args = node.args();
  return std::any_of(args.begin(), args.end(),
                     [](const Argument& argument) { return argument.is<DictArg>(); });
}

// Which calls belong together; a part is named by one of its nodes.
class Parts {
 public:
  explicit Parts(const GraphModule& gm) : gm_(gm) {
    for (const Node* node : gm.graph().nodes()) nodes_.push_back(node);
    for (const Node* node : nodes_) find_loose(*node);
    while (close()) {
    }
  }

  bool empty() const { return part_.empty(); }
  // nullptr: a node of no part.
  const Node* of(const Node* node) const {
    auto it = part_.find(node);
    if (it == part_.end()) return nullptr;
    return it->second == node ? node : of(it->second);
  }
  std::vector<const Node*> members(const Node* part) const {
    std::vector<const Node*> found;
    for (const Node* node : nodes_) {
      if (of(node) == part) found.push_back(node);
    }
    return found;
  }

 private:
  bool is_loose_value(const Node* node) const { return loose_.count(node) != 0; }

  void find_loose(const Node& node) {
    if (node.is(NodeKind::kOutput)) return;
    const bool from_code = declare(node);
    const auto& inputs = node.inputs();
    const bool reads = std::any_of(inputs.begin(), inputs.end(),
                                   [&](const Node* input) { return is_loose_value(input); });
    const auto declared = declared_.find(&node);
    const bool gives =
        declared != declared_.end() ? is_loose(declared->second) : reads && is_loose(node.type);
    if (gives) loose_.insert(&node);
    if (!gives && !(from_code && takes_dict(node))) return;
    part_.emplace(&node, &node);
    for (const Node* user : node.users()) {
      if (!user->is(NodeKind::kOutput)) unite(&node, user);
    }
  }

  // The result's type as TorchScript's code declares it. Whether the node is such code.
  bool declare(const Node& node) {
    if (node.is(NodeKind::kCallModule)) {
      const auto opaque = std::dynamic_pointer_cast<OpaqueModule>(gm_.module(node.target()));
      if (!opaque) return false;
      const auto& schema = opaque->script_module().get_method("forward").function().getSchema();
      declared_[&node] = schema.returns().at(0).type();
      return true;
    }
    if (node.op() != OpId::kGetItem) return false;
    auto whole = declared_.find(node.args()[0].node());
    const auto* index = node.args()[1].get_if<int64_t>();
    if (whole == declared_.end() || !index) return false;
    const c10::TypePtr type = whole->second;
    const auto count = static_cast<int64_t>(type->containedTypes().size());
    if (type->kind() != c10::TypeKind::TupleType || *index < -count || *index >= count) {
      return false;
    }
    declared_[&node] =
        type->containedType(static_cast<size_t>(*index < 0 ? *index + count : *index));
    return false;
  }

  void unite(const Node* a, const Node* b) {
    const Node* first = of(a) ? of(a) : a;
    const Node* second = of(b) ? of(b) : b;
    part_[first] = first;
    part_[second] = first;
  }

  // Takes in what stands between two calls of one part, for every part once.
  bool close() {
    std::unordered_set<const Node*> parts;
    for (const Node* node : nodes_) {
      if (const Node* part = of(node)) parts.insert(part);
    }
    bool changed = false;
    for (const Node* part : parts) changed |= close(part);
    return changed;
  }
  bool close(const Node* part) {
    std::unordered_set<const Node*> after;
    for (const Node* node : nodes_) {
      const auto& inputs = node->inputs();
      if (std::any_of(inputs.begin(), inputs.end(), [&](const Node* input) {
            return of(input) == of(part) || after.count(input) != 0;
          })) {
        after.insert(node);
      }
    }
    bool changed = false;
    for (auto it = nodes_.rbegin(); it != nodes_.rend(); ++it) {
      if (of(*it) == of(part) || after.count(*it) == 0) continue;
      const auto& users = (*it)->users();
      const bool before = std::any_of(users.begin(), users.end(),
                                      [&](const Node* user) { return of(user) == of(part); });
      if (!before) continue;
      unite(part, *it);
      changed = true;
    }
    return changed;
  }

  const GraphModule& gm_;
  std::vector<const Node*> nodes_;
  std::unordered_map<const Node*, const Node*> part_;
  std::unordered_set<const Node*> loose_;
  std::unordered_map<const Node*, c10::TypePtr> declared_;
};

using NodeMap = std::unordered_map<const Node*, Node*>;

// One part as a TorchScript module.
struct Part {
  std::vector<const Node*> inputs, outputs;
  std::shared_ptr<OpaqueModule> module;
};

class Joiner {
 public:
  explicit Joiner(const GraphModule& gm) : gm_(gm), parts_(gm), joined_(gm.copy_without_graph()) {}

  absl::StatusOr<std::optional<GraphModule>> run() {
    if (parts_.empty()) return std::optional<GraphModule>();
    for (const Node* node : gm_.graph().nodes()) FXQ_RETURN_IF_ERROR(emit(node));
    joined_.remove_unused();
    return std::optional<GraphModule>(std::move(joined_));
  }

 private:
  // The node, or the part that it is of, behind all that it reads.
  absl::Status emit(const Node* node) {
    if (map_.count(node) != 0) return absl::OkStatus();
    if (const Node* part = parts_.of(node)) return emit_part(part);
    for (const Node* input : node->inputs()) FXQ_RETURN_IF_ERROR(emit(input));
    map_[node] =
        joined_.graph().node_copy(node, [&](Node* input) { return Argument(map_.at(input)); });
    return absl::OkStatus();
  }

  absl::Status emit_part(const Node* name) {
    FXQ_ASSIGN_OR_RETURN(const Part part, make_part(name));
    for (const Node* member : parts_.members(name)) map_[member] = nullptr;
    if (!part.module) return absl::OkStatus();  // nobody reads it
    std::vector<Argument> args;
    for (const Node* input : part.inputs) {
      FXQ_RETURN_IF_ERROR(emit(input));
      args.emplace_back(map_.at(input));
    }
    const bool one = part.outputs.size() == 1;
    const std::string& hint = part.outputs.front()->name();
    const std::string path = joined_.unique_path(hint + "_part");
    joined_.set_module(path, part.module);
    Node* call = joined_.call_module(path, std::move(args), {}, one ? hint : hint + "_part");
    call->source = part.outputs.front()->source;
    if (one) {
      call->type = part.outputs.front()->type;
      map_[part.outputs.front()] = call;
    } else {
      take_apart(part, call);
    }
    return absl::OkStatus();
  }

  void take_apart(const Part& part, Node* call) {
    std::vector<Type> types;
    for (const Node* output : part.outputs) types.push_back(output->type);
    call->type = Type::tuple(std::move(types));
    for (size_t i = 0; i < part.outputs.size(); ++i) {
      Node* item = joined_.graph().call_op(OpId::kGetItem,
                                           {Argument(call), Argument(static_cast<int64_t>(i))}, {},
                                           part.outputs[i]->name());
      item->type = part.outputs[i]->type;
      map_[part.outputs[i]] = item;
    }
  }

  absl::StatusOr<Part> make_part(const Node* name) const {
    Part part;
    GraphModule own = gm_.copy_without_graph();
    NodeMap inside;
    const std::vector<const Node*> members = parts_.members(name);
    for (const Node* member : members) {
      for (const Node* input : member->inputs()) {
        if (parts_.of(input) == name || inside.count(input) != 0) continue;
        inside[input] = own.graph().placeholder(input->name(), input->type);
        part.inputs.push_back(input);
      }
    }
    std::vector<Argument> results;
    for (const Node* member : members) {
      inside[member] =
          own.graph().node_copy(member, [&](Node* input) { return Argument(inside.at(input)); });
      if (!is_read_outside(member, name)) continue;
      if (is_loose(member->type) && member->type.kind != Type::Kind::kNone)
        return returned(*member);
      part.outputs.push_back(member);
      results.emplace_back(inside.at(member));
    }
    if (results.empty()) return part;
    own.graph().output(results.size() == 1 ? results[0] : Argument::tuple(std::move(results)));
    own.remove_unused();
    FXQ_ASSIGN_OR_RETURN(const torch::jit::Module script, to_torchscript(own));
    part.module = std::make_shared<OpaqueModule>(script, "fxq.Part", members.front()->source);
    return part;
  }

  bool is_read_outside(const Node* member, const Node* part) const {
    const auto& users = member->users();
    return std::any_of(users.begin(), users.end(),
                       [&](const Node* user) { return parts_.of(user) != part; });
  }

  static absl::Status returned(const Node& node) {
    const std::string place = node.source.empty() ? "" : " at " + node.source;
    return absl::UnimplementedError(fmt::format(
        "%{}{} is {} whose length or presence the data decides, and the model returns it; a "
        "program's results are tensors that are there for any data: return a tensor instead",
        node.name(), place, node.type.to_string()));
  }

  const GraphModule& gm_;
  const Parts parts_;
  GraphModule joined_;
  NodeMap map_;
};

}  // namespace

absl::StatusOr<std::optional<GraphModule>> join_loose_values(const GraphModule& gm) {
  return Joiner(gm).run();
}

}  // namespace fxq
