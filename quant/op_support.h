// Which calls run in integers, and why the others do not: the op table's row, the march, the
// qconfig, the reference kernel's limits and what the operands are.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "fxq/graph/graph_module.h"
#include "fxq/quant/march.h"
#include "fxq/quant/qconfig.h"
#include "fxq/quant/written_values.h"

namespace fxq {

struct Refusal {
  const char* code;    // "E001"; the list is in quant/README.md
  std::string reason;  // "no integer kernel"
};

struct SupportQuestion {
  const GraphModule& gm;
  March march = March::CPU;
  const QConfig* qconfig = nullptr;  // of the node; null: not to be quantized
  const WrittenValues* written = nullptr;
  // True if that node's value is integers; asked for earlier nodes only.
  std::function<bool(const Node*)> is_integer;
};

// nullopt: the call runs in integers.
std::optional<Refusal> refuse_integers(const Node& node, const SupportQuestion& question);

// Calls that quantization does not concern: sizes, lists, stubs.
bool is_plumbing(const Node& node);
// getitem of an integer tuple is the same integers too.
bool shares_operand(const Node& node);
// Activation operands, the epilogue's addend included.
std::vector<Node*> value_operands(const GraphModule& gm, const Node& node);

}  // namespace fxq
