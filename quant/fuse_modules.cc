// ["conv", "bn", "relu"]:
//   %conv = conv2d @conv(%x)               %conv = conv2d @conv(%x, activation="relu")
//   %bn = batch_norm @bn(%conv)       ->   %bn = identity @bn(%conv)
//   %relu = relu @relu(%bn)                %relu = identity @relu(%bn)
// FloatFunctional's "q" is its function and the Identity behind it; q.add_relu is two functions.
#include "fxq/quant/fuse_modules.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/add.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "fxq/base/nearest.h"
#include "fxq/base/status.h"
#include "fxq/graph/interpreter.h"
#include "fxq/graph/verifier.h"
#include "fxq/graph/weighted_bn_module.h"
#include "fxq/passes/batch_norm_fold.h"

namespace fxq {
namespace {

std::shared_ptr<LeafModule> identity() {
  return std::make_shared<OpModule>("torch.nn.modules.linear.Identity", OpId::kIdentity,
                                    NamedTensors{}, NamedAttributes{});
}

// "torch.nn.modules.conv.Conv2d" -> "Conv2d"; classes of users stay whole.
std::string short_name(const std::string& class_name) {
  const bool of_torch = class_name.rfind("torch.nn.", 0) == 0;
  return of_torch ? class_name.substr(class_name.rfind('.') + 1) : class_name;
}

std::string sequence_of(const ModuleList& modules) {
  std::vector<std::string> names;
  for (const auto& module : modules) names.push_back(short_name(module->class_name()));
  return fmt::format("{}", fmt::join(names, ","));
}

// "torch.nn.Conv2d,BatchNorm2d" -> "Conv2d,BatchNorm2d"
std::string normal_key(const std::string& key) {
  std::vector<std::string> names;
  for (absl::string_view name : absl::StrSplit(key, ',')) {
    names.push_back(short_name(std::string(absl::StripAsciiWhitespace(name))));
  }
  return fmt::format("{}", fmt::join(names, ","));
}

// Null if there is none for the sequence.
const FuserMethod* find_method(const FuserMethodMapping& mapping, const std::string& sequence) {
  for (const auto& [key, method] : mapping) {
    if (normal_key(key) == sequence) return &method;
  }
  return nullptr;
}

// A key that is no list's sequence has a typing error in it.
void check_mapping(const FuserMethodMapping& mapping, const std::vector<std::string>& sequences,
                   std::vector<std::string>& problems) {
  for (const auto& [key, method] : mapping) {
    const auto& all = sequences;
    if (std::find(all.begin(), all.end(), normal_key(key)) != all.end()) continue;
    problems.push_back(fmt::format("additional_fuser_method_mapping: no list is [{}]; {}", key,
                                   did_you_mean(key, sequences)));
  }
}

// [weighted] [bn] [add] [activation], or bn activation.
struct Sequence {
  std::shared_ptr<OpModule> weighted, bn;
  bool adds = false;
  OpId activation = OpId::kNone;
};

std::optional<Sequence> known_sequence(const ModuleList& modules) {
  Sequence sequence;
  size_t next = 0;
  auto take = [&](auto fits) -> std::shared_ptr<OpModule> {
    if (next == modules.size()) return nullptr;
    auto op = std::dynamic_pointer_cast<OpModule>(modules[next]);
    if (!op || !fits(op->op())) return nullptr;
    ++next;
    return op;
  };
  sequence.weighted = take([](OpId op) { return is_weighted(op); });
  sequence.bn = take([](OpId op) { return op == OpId::kBatchNorm; });
  if (sequence.weighted) sequence.adds = take([](OpId op) { return op == OpId::kAdd; }) != nullptr;
  const auto last = take([](OpId op) { return op_def(op).is_activation; });
  if (last) sequence.activation = last->op();
  const bool starts = sequence.weighted || sequence.bn;
  if (!starts || modules.size() < 2 || next != modules.size()) return std::nullopt;
  return sequence;
}

absl::StatusOr<std::shared_ptr<OpModule>> base_of(const Sequence& sequence) {
  if (!sequence.weighted) return sequence.bn;
  if (!sequence.bn) return sequence.weighted;
  const OpModule& weighted = *sequence.weighted;
  const BatchNormFacts facts = batch_norm_facts(*sequence.bn);
  if (!facts.mean.defined() || !facts.var.defined()) {
    return absl::InvalidArgumentError("the batch norm keeps no running statistics");
  }
  if (output_channels(weighted) != facts.mean.numel()) {
    return absl::InvalidArgumentError(fmt::format("{} output channels, and a batch norm of {}",
                                                  output_channels(weighted), facts.mean.numel()));
  }
  if (!sequence.bn->is_training()) return fold_into(weighted, facts);
  auto bn = std::dynamic_pointer_cast<OpModule>(sequence.bn->clone_leaf());
  std::shared_ptr<OpModule> joined = std::make_shared<WeightedBnModule>(weighted, std::move(bn));
  joined->train();
  return joined;
}

// One list of paths, found in a graph.
struct Chain {
  std::vector<Node*> nodes;
  ModuleList modules;
  Node* addend = nullptr;
  std::vector<Node*> between;  // Identity calls that the chain goes through
};

Node* only_user(const Node& node) { return node.users().size() == 1 ? node.users()[0] : nullptr; }

absl::Status check_modules(std::string_view what, const ModuleList& modules) {
  for (size_t i = 0; i < modules.size(); ++i) {
    if (modules[i]) continue;
    return absl::InvalidArgumentError(fmt::format("{}: module {} is null", what, i));
  }
  return absl::OkStatus();
}

class Fuser {
 public:
  Fuser(GraphModule& gm, const FuseModulesOptions& options) : gm_(gm), options_(options) {
    for (Node* node : gm.graph().nodes()) {
      if (!node->is_call()) continue;
      const bool module = node->is(NodeKind::kCallModule);
      calls_[module ? node->target() : node->owner.path].push_back(node);
    }
    for (const auto& [path, nodes] : calls_) paths_.push_back(path);
  }

  absl::Status fuse(const std::vector<std::string>& list) {
    if (!options_.fuser_func)
      return absl::InvalidArgumentError("fuser_func is empty; fuse_known_modules is the default");
    FXQ_ASSIGN_OR_RETURN(Chain chain, find(list));
    sequence_ = sequence_of(chain.modules);
    FXQ_ASSIGN_OR_RETURN(
        const ModuleList fused,
        options_.fuser_func(chain.modules, options_.additional_fuser_method_mapping));
    if (fused.size() != chain.modules.size()) {
      return absl::InvalidArgumentError(
          fmt::format("the fuser returned {} modules for {}", fused.size(), chain.modules.size()));
    }
    FXQ_RETURN_IF_ERROR(check_modules("the fuser's result", fused));
    return place(chain, fused);
  }
  // Of the list, if it was found.
  const std::string& sequence() const { return sequence_; }

 private:
  // One call, or the functions that one call of a FloatFunctional makes, each reading the one
  // before.
  absl::StatusOr<std::vector<Node*>> calls_of(const std::string& path) const {
    const auto found = calls_.find(path);
    if (found == calls_.end()) {
      return absl::InvalidArgumentError(
          fmt::format("there is no module '{}'; {}", path, did_you_mean(path, paths_)));
    }
    const std::vector<Node*>& calls = found->second;
    for (size_t i = 1; i < calls.size(); ++i) {
      const bool goes_on =
          calls[i]->is(NodeKind::kCallFunction) && only_user(*calls[i - 1]) == calls[i];
      if (goes_on) continue;
      return absl::InvalidArgumentError(
          fmt::format("module '{}' is called {} times", path, calls.size()));
    }
    return calls;
  }

  // A function (FloatFunctional's add) has no module yet: one of its op.
  std::shared_ptr<LeafModule> module_of(const Node& node) const {
    if (node.is(NodeKind::kCallModule)) return gm_.module(node.target());
    if (node.op() == OpId::kNone) return nullptr;
    auto module = std::make_shared<OpModule>(node.owner.class_name, node.op(), NamedTensors{},
                                             NamedAttributes{});
    module->train(gm_.is_training());
    return module;
  }

  absl::StatusOr<Chain> find(const std::vector<std::string>& list) const {
    if (list.size() < 2) return absl::InvalidArgumentError("a list needs two modules or more");
    Chain chain;
    for (const std::string& path : list) {
      FXQ_ASSIGN_OR_RETURN(const std::vector<Node*> calls, calls_of(path));
      for (Node* node : calls) FXQ_RETURN_IF_ERROR(add_link(chain, path, node));
    }
    return chain;
  }

  absl::Status add_link(Chain& chain, const std::string& path, Node* node) const {
    chain.modules.push_back(module_of(*node));
    if (!chain.modules.back()) {
      return absl::InvalidArgumentError(fmt::format("'{}' calls no known op", path));
    }
    if (!chain.nodes.empty()) FXQ_RETURN_IF_ERROR(check_link(chain, *node));
    chain.nodes.push_back(node);
    return absl::OkStatus();
  }

  static absl::Status check_link(Chain& chain, const Node& to) {
    const Node* last = chain.nodes.back();
    Node* next = only_user(*last);
    for (; next && next != &to && next->op() == OpId::kIdentity; next = only_user(*next)) {
      chain.between.push_back(next);
      last = next;
    }
    const Node& from = *last;
    const auto inputs = to.inputs();
    if (std::find(inputs.begin(), inputs.end(), &from) == inputs.end()) {
      return absl::InvalidArgumentError(
          fmt::format("%{} does not read %{}", to.name(), from.name()));
    }
    if (from.users().size() != 1) {
      return absl::InvalidArgumentError(
          fmt::format("%{} has {} users", from.name(), from.users().size()));
    }
    if (from.epilogue_activation() != OpId::kNone || from.epilogue_add()) {
      return absl::InvalidArgumentError(fmt::format("%{} is fused already", from.name()));
    }
    if (inputs.size() == 1) return absl::OkStatus();
    for (Node* input : inputs) {
      if (input != &from) chain.addend = input;
    }
    const bool plain = to.op() == OpId::kAdd && inputs.size() == 2 && to.kwargs().empty();
    if (plain) return absl::OkStatus();
    return absl::InvalidArgumentError(fmt::format(
        "%{} reads other values beside %{} and is no plain add", to.name(), from.name()));
  }

  absl::Status place(const Chain& chain, const ModuleList& fused) {
    Node* first = chain.nodes.front();
    Node* last = chain.nodes.back();
    std::shared_ptr<LeafModule> module = fused.front();
    gm_.graph().move_before(first, last);
    if (const auto whole = std::dynamic_pointer_cast<FusedModule>(module)) {
      module = whole->base();
      if (whole->adds()) gm_.graph().set_kwarg(first, kEpilogueAdd, Argument(chain.addend));
      if (whole->activation() != OpId::kNone) {
        gm_.graph().set_kwarg(first, kEpilogueActivation,
                              std::string(op_def(whole->activation()).name));
      }
    }
    gm_.set_module(first->target(), module);
    gm_.graph().set_target(first, first->target(), module->callee());
    Node* value = first;
    for (size_t i = 1; i < fused.size(); ++i) {
      value = replace(chain.nodes[i], fused[i], value, last);
    }
    std::vector<Node*> dead(chain.nodes.begin() + 1, chain.nodes.end());
    dead.insert(dead.end(), chain.between.begin(), chain.between.end());
    std::sort(dead.begin(), dead.end(), [](Node* a, Node* b) { return b->is_before(a); });
    for (Node* node : dead) FXQ_RETURN_IF_ERROR(gm_.graph().erase(node));
    return absl::OkStatus();
  }

  // A call of `module` on `value`, before `place`, takes the name and the readers of `old`.
  Node* replace(Node* old, const std::shared_ptr<LeafModule>& module, Node* value, Node* place) {
    const bool has_path = old->is(NodeKind::kCallModule);
    const std::string path = has_path ? old->target() : gm_.unique_path(old->owner.path);
    gm_.set_module(path, module);
    const InsertionPoint here(gm_.graph(), place);
    Node* node = gm_.call_module(path, {Argument(value)}, {}, old->name());
    node->type = old->type;
    node->source = old->source;
    gm_.graph().replace_all_uses(old, node);
    gm_.graph().take_name(node, old);
    return node;
  }

  GraphModule& gm_;
  const FuseModulesOptions& options_;
  std::map<std::string, std::vector<Node*>> calls_;
  std::vector<std::string> paths_;
  std::string sequence_;
};

}  // namespace

FusedModule::FusedModule(std::shared_ptr<OpModule> base, bool adds, OpId activation)
    : LeafModule("FusedModule"), base_(std::move(base)), adds_(adds), activation_(activation) {
  register_module("base", base_);
}

c10::IValue FusedModule::call(const std::string& method, std::vector<c10::IValue> inputs) {
  TORCH_CHECK(inputs.size() == (adds_ ? 2U : 1U), "a fused module takes ", adds_ ? 2 : 1,
              " inputs and got ", inputs.size());
  at::Tensor y = base_->call(method, {inputs[0]}).toTensor();
  if (adds_) y = at::add(y, inputs[1].toTensor());
  if (activation_ == OpId::kNone) return y;
  auto result = call_schema(*canonical_schema(activation_), {y});
  TORCH_CHECK(result.ok(), std::string(result.status().message()));
  return *std::move(result);
}

NamedAttributes FusedModule::attributes() const {
  NamedAttributes all = base_->attributes();
  all.emplace_back("adds", adds_);
  all.emplace_back("activation", std::string(op_def(activation_).name));
  return all;
}

std::shared_ptr<LeafModule> FusedModule::clone_leaf() const {
  return std::make_shared<FusedModule>(std::dynamic_pointer_cast<OpModule>(base_->clone_leaf()),
                                       adds_, activation_);
}

void FusedModule::set_tensor(const std::string& name, at::Tensor tensor) {
  base_->set_tensor(name, std::move(tensor));
}

absl::StatusOr<ModuleList> fuse_known_modules(
    const ModuleList& mod_list, const FuserMethodMapping& additional_fuser_method_mapping) {
  FXQ_RETURN_IF_ERROR(check_modules("fuse_known_modules", mod_list));
  ModuleList result;
  const std::string names = sequence_of(mod_list);
  const FuserMethod* own = find_method(additional_fuser_method_mapping, names);
  if (own) {
    if (!*own) return absl::InvalidArgumentError(fmt::format("the fuser of [{}] is empty", names));
    FXQ_ASSIGN_OR_RETURN(auto module, (*own)(mod_list));
    result.push_back(std::move(module));
    FXQ_RETURN_IF_ERROR(check_modules(fmt::format("what the fuser of [{}] gave", names), result));
  } else {
    const std::optional<Sequence> sequence = known_sequence(mod_list);
    if (!sequence) {
      return absl::InvalidArgumentError(fmt::format(
          "[{}] is no known sequence: a convolution or linear, then bn, add and relu as far as "
          "they are there, in this order; or bn, relu",
          names));
    }
    FXQ_ASSIGN_OR_RETURN(auto base, base_of(*sequence));
    result.push_back(
        std::make_shared<FusedModule>(std::move(base), sequence->adds, sequence->activation));
  }
  while (result.size() < mod_list.size()) result.push_back(identity());
  return result;
}

absl::Status fuse_modules_inplace(GraphModule& model,
                                  const std::vector<std::vector<std::string>>& lists,
                                  const FuseModulesOptions& options) {
  FXQ_ASSIGN_OR_RETURN(GraphModule fused, fuse_modules(model, lists, options));
  model = std::move(fused);
  return absl::OkStatus();
}

absl::StatusOr<GraphModule> fuse_modules(const GraphModule& model,
                                         const std::vector<std::vector<std::string>>& lists,
                                         const FuseModulesOptions& options) {
  GraphModule fused = model.copy();
  std::vector<std::string> problems, sequences;
  for (const std::vector<std::string>& list : lists) {
    Fuser fuser(fused, options);
    const absl::Status status = fuser.fuse(list);
    if (!fuser.sequence().empty()) sequences.push_back(fuser.sequence());
    if (status.ok()) continue;
    problems.push_back(fmt::format("[{}]: {}", fmt::join(list, ", "), message_of(status)));
  }
  if (problems.empty()) {
    check_mapping(options.additional_fuser_method_mapping, sequences, problems);
  }
  if (!problems.empty()) {
    return absl::InvalidArgumentError(fmt::format("fuse_modules: {}", fmt::join(problems, "\n  ")));
  }
  FXQ_RETURN_IF_ERROR(verify(fused));
  return fused;
}

absl::StatusOr<GraphModule> fuse_modules(const GraphModule& model,
                                         const std::vector<std::string>& modules_to_fuse,
                                         const FuseModulesOptions& options) {
  return fuse_modules(model, std::vector<std::vector<std::string>>{modules_to_fuse}, options);
}

absl::StatusOr<GraphModule> fuse_modules(const GraphModule& model, Names modules_to_fuse,
                                         const FuseModulesOptions& options) {
  return fuse_modules(
      model, std::vector<std::string>(modules_to_fuse.begin(), modules_to_fuse.end()), options);
}

absl::StatusOr<GraphModule> fuse_modules(const GraphModule& model,
                                         std::initializer_list<Names> lists,
                                         const FuseModulesOptions& options) {
  std::vector<std::vector<std::string>> all;
  for (const Names& list : lists) all.emplace_back(list.begin(), list.end());
  return fuse_modules(model, all, options);
}

}  // namespace fxq
