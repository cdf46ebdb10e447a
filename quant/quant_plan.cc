// x -> conv -> relu -> max_pool -> add(y): conv+relu stand alone, max_pool shares relu's scale, add
// stands alone.
#include "fxq/quant/quant_plan.h"

#include <fmt/format.h>

#include <map>
#include <numeric>
#include <set>

#include "fxq/base/status.h"
#include "fxq/graph/problems.h"
#include "fxq/graph/view.h"
#include "fxq/quant/observer.h"
#include "fxq/quant/op_support.h"
#include "fxq/quant/qconfig_resolver.h"

namespace fxq {
namespace {

class UnionFind {
 public:
  explicit UnionFind(size_t size) : parent_(size) {
    std::iota(parent_.begin(), parent_.end(), size_t{0});
  }
  size_t find(size_t i) {
    while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
    return i;
  }
  // The earlier value stands for both.
  void join(size_t a, size_t b) {
    a = find(a);
    b = find(b);
    parent_[std::max(a, b)] = std::min(a, b);
  }

 private:
  std::vector<size_t> parent_;
};

class Planner {
 public:
  Planner(const GraphModule& gm, const QConfigDict& qconfigs, const QuantPlanOptions& options)
      : gm_(gm),
        options_(options),
        resolver_(gm, qconfigs),
        global_(qconfigs.global ? &*qconfigs.global : nullptr),
        hybrid_(gm, options.hybrid_dict ? *options.hybrid_dict : HybridDict{}),
        written_(gm.graph()),
        sets_(gm.graph().size()) {
    for (Node* node : gm.graph().nodes()) {
      index_[node] = nodes_.size();
      nodes_.push_back(node);
    }
  }

  absl::StatusOr<QuantPlan> plan() {
    FXQ_RETURN_IF_ERROR(resolver_.check_names());
    FXQ_RETURN_IF_ERROR(hybrid_.check_names());
    find_conditions();
    for (Node* node : nodes_) decide(node);
    blame_kept_code();
    FXQ_RETURN_IF_ERROR(check_devices());
    for (Node* node : nodes_) {
      if (plan_.runs_in_integers(node)) connect(node);
    }
    for (std::string& note : resolver_.notes()) plan_.report.notes.push_back(std::move(note));
    FXQ_RETURN_IF_ERROR(make_groups());
    return std::move(plan_);
  }

 private:
  Rule rule_of(const Node* node) const {
    if (shares_operand(*node)) return Rule::kSharesInput;
    if (node->op() == OpId::kCat && options_.share_cat) return Rule::kSharesAll;
    return op_def(node->op()).rule;
  }

  void decide(Node* node) {
    non_negative_.push_back(false);
    if (!node->is_call() || is_plumbing(*node)) return;
    const QConfig* qconfig = resolver_.find(*node);
    SupportQuestion question{gm_, options_.march, qconfig, &written_, {}, {}};
    question.is_integer = [&](const Node* other) {
      return plan_.is_integer_value(other) || other->op() == OpId::kQuantStub;
    };
    question.is_wide = [&](const Node* other) { return is_wide(other, qconfig); };
    std::optional<Refusal> refusal = refuse_by_rule(*node);
    if (!refusal && conditions_.count(node) != 0) {
      refusal =
          Refusal{"E012", "it only leads to a number that is read out of data, for a condition"};
    }
    if (!refusal) refusal = refuse_integers(*node, question);
    const bool part = node->op() == OpId::kGetItem;
    if (!refusal) {
      plan_.integer_ops[node] = part ? plan_.integer_ops[OpView(gm_, node).operand(0)] : qconfig;
    }
    non_negative_.back() = is_non_negative(*node, !refusal);
    if (!part) report(*node, plan_.runs_in_integers(node) ? qconfig : nullptr, refusal);
  }

  // if x.mean() > 0: what only computes the condition is where it is because of the `if`.
  void blame_kept_code() {
    std::unordered_map<const Node*, const Node*> behind;
    for (auto node = nodes_.rbegin(); node != nodes_.rend(); ++node) {
      behind[*node] = kept_code_behind(**node, behind);
    }
    for (OpStatus& op : plan_.report.ops) {
      const bool by_itself = op.code == "E001" || op.code == "E004" || op.code == "E005";
      const Node* code = by_itself ? behind.at(gm_.graph().find(op.node)) : nullptr;
      if (!code) continue;
      op.code = "E012";
      op.reason =
          fmt::format("only %{} reads it, which is TorchScript that is kept whole", code->name());
    }
  }

  // A number that is read out of a tensor's elements.
  static bool reads_a_number(const Node& node) {
    const bool number = node.type.kind == Type::Kind::kBool || node.type.kind == Type::Kind::kInt ||
                        node.type.kind == Type::Kind::kFloat;
    return number && node.is_call() && op_def(node.op()).rule != Rule::kNotTensor &&
           std::any_of(node.inputs().begin(), node.inputs().end(),
                       [](const Node* input) { return input->type.is_tensor(); });
  }

  // x.abs().sum() > 0: on a march with a BPU, what only leads to such a number stays beside it.
  void find_conditions() {
    if (!has_bpu(options_.march)) return;
    for (auto it = nodes_.rbegin(); it != nodes_.rend(); ++it) {
      const Node* node = *it;
      if (!node->is_call() || is_plumbing(*node) || node->users().empty()) continue;
      const bool only = std::all_of(
          node->users().begin(), node->users().end(),
          [&](const Node* user) { return conditions_.count(user) != 0 || reads_a_number(*user); });
      if (only) conditions_.insert(node);
    }
  }

  // The TorchScript that is the only purpose of a value; null if there is another one.
  const Node* kept_code_behind(const Node& node,
                               const std::unordered_map<const Node*, const Node*>& behind) const {
    const Node* code = nullptr;
    for (const Node* user : node.users()) {
      if (!user->is_call() || plan_.runs_in_integers(user)) return nullptr;
      code = user->schema() ? behind.at(user) : user;
      if (!code) return nullptr;
    }
    return code;
  }

  std::optional<Refusal> refuse_by_rule(const Node& node) const {
    const std::string rule = node.op() == OpId::kGetItem ? "" : hybrid_.rule(node);
    if (rule.empty()) return std::nullopt;
    return Refusal{"E011", fmt::format("hybrid_dict's {} names it", rule)};
  }

  // Whether a value has, or would have, 16 bits: its qconfig says, or that of the value it moves.
  // Inputs and stubs have what their reader asks for.
  bool is_wide(const Node* value, const QConfig* reader) const {
    while (plan_.is_integer_value(value) && is_moved(value)) {
      value = OpView(gm_, value).operand(0);
    }
    const bool asked = value->is_call() && !is_plumbing(*value);
    const QConfig* qconfig = asked ? resolver_.find(*value) : reader;
    return asks_for_int16(qconfig);
  }

  absl::Status check_devices() {
    if (!has_bpu(options_.march)) return absl::OkStatus();
    absl::Status status = options_.hybrid || options_.only_report
                              ? absl::OkStatus()
                              : refuse_cpu_ops(plan_.report, options_.march);
    if (status.ok()) status = check_previous_qconfigs();
    if (!options_.only_report || status.ok()) return status;
    plan_.report.notes.emplace_back(status.message());
    return absl::OkStatus();
  }

  // An op on the BPU reads integers, even from an op on the CPU.
  absl::Status check_previous_qconfigs() const {
    Problems problems;
    for (const Node* node : nodes_) {
      if (!plan_.runs_in_integers(node)) continue;
      for (const Node* operand : value_operands(gm_, *node)) {
        const Node* previous = producer_of(operand);
        if (!previous->is_call() || is_plumbing(*previous)) continue;
        if (plan_.is_integer_value(previous)) continue;
        const QConfig* qconfig = resolver_.find(*previous);
        if (qconfig && qconfig->activation) continue;
        problems.add(fmt::format(
            "E013 {} runs on the BPU and reads {}, whose qconfig has no activation: give that one "
            "an activation, or put the reader on the CPU (hybrid_dict)",
            describe_call(*node), describe_call(*previous)));
      }
    }
    return problems.status(absl::StatusCode::kInvalidArgument);
  }

  void report(const Node& node, const QConfig* qconfig, const std::optional<Refusal>& refusal) {
    OpStatus status;
    status.node = node.name();
    const OpDef& def = op_def(node.op());
    status.op = node.op() != OpId::kNone ? std::string(def.name) : node.target();
    status.module = module_of(node);
    status.source = node.source;
    if (refusal) {
      status.code = refusal->code;
      status.reason = refusal->reason;
    } else {
      const Node* source = shares_operand(node) ? OpView(gm_, &node).operand(0) : nullptr;
      const bool wide = source ? is_wide(source, qconfig) : asks_for_int16(qconfig);
      status.mode = wide ? OpMode::kInt16 : OpMode::kInt8;
      if (runs_through_float(gm_, node, options_.march)) {
        status.code = "W107";
        status.reason = "has no integer kernel here: float32 between dequantize and quantize";
      }
    }
    plan_.report.ops.push_back(std::move(status));
  }

  bool is_non_negative(const Node& node, bool in_integers) const {
    const OpDef& def = op_def(node.op());
    if (op_def(node.epilogue_activation()).non_negative) return true;
    if (node.epilogue_add()) return false;
    if (def.non_negative) return true;
    if (!in_integers || !(def.keeps_sign || node.op() == OpId::kGetItem)) return false;
    const OpView view(gm_, &node);
    for (const Node* operand : view.operands()) {
      if (!non_negative_[index_.at(operand)]) return false;
    }
    return true;
  }

  // Which values need a scale for this op, and which have one scale because of it.
  void connect(Node* node) {
    const std::vector<Node*> operands = value_operands(gm_, *node);
    const QConfig* reader = plan_.integer_ops[node];
    if (!reader->activation && global_) reader = global_;
    for (Node* operand : operands) wanted_.emplace(index_[operand], qconfig_at(operand, reader));
    if (!plan_.is_integer_value(node)) return;
    wanted_[index_[node]] = plan_.integer_ops[node];
    const Rule rule = rule_of(node);
    if (rule == Rule::kSharesInput) sets_.join(index_[node], index_[operands[0]]);
    if (rule != Rule::kSharesAll) return;
    for (Node* operand : operands) sets_.join(index_[node], index_[operand]);
  }

  // Beside a BPU, what the CPU computes has its own qconfig; else the first reader's holds.
  const QConfig* qconfig_at(const Node* value, const QConfig* reader) const {
    const Node* previous = producer_of(value);
    const bool own = has_bpu(options_.march) && previous->is_call() && !is_plumbing(*previous);
    const QConfig* qconfig = own ? resolver_.find(*previous) : nullptr;
    return qconfig && qconfig->activation ? qconfig : reader;
  }

  bool is_moved(const Node* node) const {
    if (!plan_.is_integer_value(node)) return false;
    const Rule rule = rule_of(node);
    return rule == Rule::kSharesInput || rule == Rule::kSharesAll;
  }

  absl::Status make_groups() {
    std::map<size_t, size_t> group_of;  // root -> group
    std::map<size_t, bool> all_non_negative;
    for (const auto& [i, qconfig] : wanted_) {
      const size_t root = sets_.find(i);
      auto sign = all_non_negative.emplace(root, true).first;
      sign->second = sign->second && non_negative_[i];
      if (is_moved(nodes_[i])) continue;
      auto [entry, is_new] = group_of.emplace(root, plan_.groups.size());
      if (is_new) plan_.groups.push_back({{}, DType::kI8, qconfig});
      plan_.groups[entry->second].observed.push_back(nodes_[i]);
    }
    for (const auto& [root, group] : group_of) {
      FXQ_RETURN_IF_ERROR(set_dtype(plan_.groups[group], all_non_negative[root]));
    }
    return absl::OkStatus();
  }

  absl::Status set_dtype(ScaleGroup& group, bool non_negative) {
    if (!group.qconfig->activation) {
      return absl::InvalidArgumentError(fmt::format(
          "%{} feeds an op that runs in integers, but neither that op's qconfig nor the "
          "global one has an activation to quantize it with",
          group.observed[0]->name()));
    }
    const FakeQuantizeOptions& activation = group.qconfig->activation->options();
    FXQ_ASSIGN_OR_RETURN(const ObserverOptions options,
                         observer_options(activation.observer, activation.observer_kwargs));
    if (options.ch_axis) {
      return absl::InvalidArgumentError(fmt::format(
          "%{}: an activation has one scale, and with a ch_axis or a per-channel qscheme {} keeps "
          "one per channel: leave both out, and use MinMaxObserver, MovingAverageMinMaxObserver or "
          "MseObserver",
          group.observed[0]->name(), activation.observer));
    }
    group.dtype = activation.observer_kwargs.dtype;
    FXQ_ASSIGN_OR_RETURN(const bool may_be_unsigned,
                         allows_unsigned(*group.qconfig, options_.march));
    // A range of the user's own is one of qint8.
    const bool has_own_range = !activation.observer_kwargs.has_full_range();
    if (has_own_range) note_range(*group.observed[0], activation.observer_kwargs);
    if (group.dtype == DType::kI8 && non_negative && may_be_unsigned && !has_own_range) {
      group.dtype = DType::kU8;
    }
    return absl::OkStatus();
  }

  void note_range(const Node& value, const ObserverOptions& options) {
    const QRange range = options.range();
    plan_.report.notes.push_back(
        fmt::format("%{}: quant_min {}, quant_max {} is less than {} has: good for training, "
                    "convert_fx refuses "
                    "it",
                    value.name(), range.min, range.max, qdtype_name(options.dtype)));
  }

  const GraphModule& gm_;
  QuantPlanOptions options_;
  QConfigResolver resolver_;
  const QConfig* global_;
  HybridRules hybrid_;
  WrittenValues written_;
  UnionFind sets_;
  std::vector<Node*> nodes_;
  std::unordered_map<const Node*, size_t> index_;
  std::vector<bool> non_negative_;
  std::set<const Node*> conditions_;         // what only leads to numbers that are read out of data
  std::map<size_t, const QConfig*> wanted_;  // value -> qconfig of its producer or first reader
  QuantPlan plan_;
};

}  // namespace

bool QuantPlan::is_integer_value(const Node* node) const {
  auto it = integer_ops.find(node);
  if (it == integer_ops.end() || !it->second->activation) return false;
  return op_def(node->op()).rule != Rule::kAnswers;
}

absl::StatusOr<QuantPlan> plan_quantization(const GraphModule& gm, const QConfigDict& qconfigs,
                                            const QuantPlanOptions& options) {
  return Planner(gm, qconfigs, options).plan();
}

}  // namespace fxq
