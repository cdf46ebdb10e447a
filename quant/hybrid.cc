// quant -> conv (BPU) -> prelu (CPU) -> conv (BPU):
//   %c_fq = fake_quantize @c_fq(%c)        %p = prelu @p(%c_dequant)      {device="CPU"}
//   %c_dequant = dequant_stub(%c_fq)       %p_fq = fake_quantize @p_fq(%p)
#include "fxq/quant/hybrid.h"

#include <fmt/format.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "fxq/graph/leaf_module.h"
#include "fxq/graph/problems.h"
#include "fxq/quant/fake_quantize.h"
#include "fxq/quant/op_support.h"
#include "fxq/quant/quant_plan.h"

namespace fxq {
namespace {

constexpr const char* kDequantSuffix = "_dequant";

// Entries of null: whatever one of them decides about is on the CPU.
QConfigDict as_qconfigs(const HybridDict& dict) {
  QConfigDict result;
  for (const std::string& type : dict.module_type)
    result.module_type.emplace_back(type, std::nullopt);
  for (const std::string& name : dict.module_name)
    result.module_name.emplace_back(name, std::nullopt);
  return result;
}

bool is_fake_quant(const GraphModule& gm, const Node& node) {
  return node.is(NodeKind::kCallModule) &&
         dynamic_cast<const FakeQuantize*>(gm.module(node.target()).get()) != nullptr;
}

bool passes_on(const Node& node) {
  return node.op() == OpId::kGetItem || node.op() == OpId::kDeQuantStub ||
         op_def(node.op()).kernel == "Identity";
}

void dequantize_for(GraphModule& gm, Node* value, const std::string& name,
                    const std::vector<Node*>& readers) {
  if (readers.empty()) return;
  const InsertionPoint point = InsertionPoint::after(value);
  Node* dequant =
      gm.graph().call_op(OpId::kDeQuantStub, {Argument(value)}, {}, name + kDequantSuffix);
  dequant->type = value->type;
  dequant->owner = value->owner;
  dequant->source = value->source;
  for (Node* reader : readers) gm.graph().replace_input(reader, value, dequant);
}

void insert_dequant_stubs(GraphModule& gm, const QuantPlan& plan) {
  const auto nodes = gm.graph().nodes();
  const std::vector<Node*> all(nodes.begin(), nodes.end());
  for (Node* value : all) {
    if (!plan.is_integer_value(value) || !value->type.elements.empty()) continue;
    Node* form = value;
    for (Node* user : value->users()) {
      if (is_fake_quant(gm, *user)) form = user;
    }
    std::vector<Node*> readers;
    for (Node* user : form->users()) {
      const bool on_cpu = !plan.runs_in_integers(user) && !is_plumbing(*user);
      if (on_cpu && !is_fake_quant(gm, *user)) readers.push_back(user);
    }
    dequantize_for(gm, form, value->name(), readers);
  }
}

}  // namespace

absl::Status check_hybrid_request(bool hybrid, const HybridDict& dict, March march,
                                  const std::string& function) {
  if (!hybrid && !dict.empty()) {
    return absl::InvalidArgumentError(function + ": hybrid_dict needs hybrid=true");
  }
  if (!hybrid || has_bpu(march)) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format(
      "{}: hybrid=true divides a model between a BPU and the CPU, and the march is {}; choose "
      "BERNOULLI2, BAYES or META (set_march, or the option march)",
      function, march_name(march)));
}

HybridRules::HybridRules(const GraphModule& gm, const HybridDict& dict) : dict_(as_qconfigs(dict)) {
  if (!dict.empty()) resolver_.emplace(gm, dict_);
}

std::string HybridRules::rule(const Node& node) const {
  if (!resolver_) return "";
  const QConfigRule found = resolver_->rule(node);
  return found.kind == QConfigRule::Kind::kNone ? "" : found.to_string();
}

absl::Status HybridRules::check_names() const {
  const absl::Status status = resolver_ ? resolver_->check_names() : absl::OkStatus();
  if (status.ok()) return status;
  return {status.code(),
          absl::StrReplaceAll(std::string(status.message()), {{"qconfig: ", "hybrid_dict: "}})};
}

std::string describe_call(const Node& node) {
  const std::string_view op =
      node.op() == OpId::kNone ? std::string_view(node.target()) : op_def(node.op()).name;
  std::string text = fmt::format("%{} ({})", node.name(), op);
  const std::string path = module_of(node);
  if (!path.empty()) text += fmt::format(" in '{}'", path);
  if (!node.source.empty()) text += " at " + node.source;
  return text;
}

absl::Status refuse_cpu_ops(const QuantReport& report, March march) {
  Problems problems;
  for (const OpStatus& op : report.ops) {
    if (op.mode != OpMode::kFloat || op.code == "E002" || op.code == "E006") continue;
    problems.add(fmt::format("%{} ({}){}{}: {} {}", op.node, op.op,
                             op.module.empty() ? "" : fmt::format(" in '{}'", op.module),
                             op.source.empty() ? "" : " at " + op.source, op.code, op.reason));
  }
  if (problems.empty()) return absl::OkStatus();
  return problems.status(absl::StatusCode::kUnimplemented,
                         fmt::format("{} op(s) do not run on {}; set hybrid=true (fxq: --hybrid) "
                                     "to run them on the CPU, change them, "
                                     "or choose another march (`fxq explain CODE` says more):",
                                     problems.lines().size(), march_name(march)));
}

const Node* producer_of(const Node* value) {
  while (passes_on(*value) && !value->inputs().empty()) value = value->inputs()[0];
  return value;
}

void place_on_devices(GraphModule& gm, const QuantPlan& plan, March march, bool hybrid) {
  if (hybrid) insert_dequant_stubs(gm, plan);
  if (has_bpu(march)) mark_devices(gm, plan);
}

// Those of users are modules, or have other names.
void remove_dequant_stubs(GraphModule& gm) {
  for (Node* node : std::vector<Node*>(gm.graph().find_all(OpId::kDeQuantStub))) {
    const Node* value = node->inputs().empty() ? nullptr : node->inputs()[0];
    const bool own =
        node->is(NodeKind::kCallFunction) && value && absl::EndsWith(node->name(), kDequantSuffix);
    if (!own) continue;
    gm.graph().replace_all_uses(node, node->inputs()[0]);
    gm.graph().erase(node).IgnoreError();
  }
}

void mark_devices(GraphModule& gm, const QuantPlan& plan) {
  for (Node* node : gm.graph().nodes()) {
    if (plan.runs_in_integers(node)) {
      node->device = kBpuDevice;
    } else if (node->is_call() && !is_plumbing(*node) && !is_fake_quant(gm, *node)) {
      node->device = kCpuDevice;
    }
  }
}

bool is_hybrid(const GraphModule& gm) {
  bool bpu = false, cpu = false;
  for (const Node* node : gm.graph().nodes()) {
    bpu |= node->device == kBpuDevice;
    cpu |= node->device == kCpuDevice;
  }
  return bpu && cpu;
}

}  // namespace fxq
