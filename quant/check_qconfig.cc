// %relu  conv2d  layer1.relu  module_name "layer1"  qint8 MseObserver, weight qint8 per channel
#include "fxq/quant/check_qconfig.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "fxq/base/status.h"
#include "fxq/quant/fuse_fx.h"
#include "fxq/quant/observer.h"
#include "fxq/quant/op_support.h"
#include "fxq/quant/qconfig_resolver.h"

namespace fxq {
namespace {

std::string dtype_of(const FakeQuantizeFactory& factory) {
  return std::string(qdtype_name(factory.options().observer_kwargs.dtype));
}

absl::StatusOr<std::string> describe(const QConfig* qconfig, const Node& node) {
  if (!qconfig) return std::string("not quantized");
  std::string text = "floats out";
  if (qconfig->activation) {
    text = fmt::format("{} {}", dtype_of(*qconfig->activation),
                       qconfig->activation->options().observer);
  }
  if (!is_weighted(node.op())) return text;
  if (!qconfig->weight) return text + ", weight qint8 per channel";
  const FakeQuantizeOptions& weight = qconfig->weight->options();
  FXQ_ASSIGN_OR_RETURN(const ObserverOptions options,
                       observer_options(weight.observer, weight.observer_kwargs));
  const bool per_channel = options.ch_axis.has_value();
  return fmt::format("{}, weight {} per {}", text, dtype_of(*qconfig->weight),
                     per_channel ? "channel" : "tensor");
}

}  // namespace

absl::StatusOr<QConfigTable> check_qconfig(const GraphModule& model, const QConfigDict& dict) {
  FXQ_ASSIGN_OR_RETURN(const GraphModule fused, fuse_fx(model));
  const QConfigResolver resolver(fused, dict);
  FXQ_RETURN_IF_ERROR(resolver.check_names());
  QConfigTable table;
  for (const Node* node : fused.graph().nodes()) {
    if (!node->is_call() || is_plumbing(*node) || node->op() == OpId::kGetItem) continue;
    const QConfigRule rule = resolver.rule(*node);
    FXQ_ASSIGN_OR_RETURN(std::string qconfig, describe(rule.qconfig, *node));
    const std::string op =
        node->op() == OpId::kNone ? node->target() : std::string(op_def(node->op()).name);
    table.rows.push_back(
        {node->name(), op, std::string(rule.member), rule.to_string(), std::move(qconfig)});
  }
  table.notes = resolver.notes();
  return table;
}

std::string QConfigTable::to_string() const {
  std::array<size_t, 4> widths{};
  auto cells = [](const QConfigRow& row) {
    return std::array<std::string, 4>{"%" + row.node, row.op, row.module, row.rule};
  };
  for (const QConfigRow& row : rows) {
    for (size_t i = 0; i < widths.size(); ++i)
      widths[i] = std::max(widths[i], cells(row)[i].size());
  }
  std::string text;
  for (const QConfigRow& row : rows) {
    for (size_t i = 0; i < widths.size(); ++i) {
      text += fmt::format("{:<{}}  ", cells(row)[i], widths[i]);
    }
    text += row.qconfig + "\n";
  }
  for (const std::string& note : notes) text += "note: " + note + "\n";
  return text;
}

}  // namespace fxq
