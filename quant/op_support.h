// Which calls run in integers, and why the others do not: the op table's row, the march and its
// limits, the qconfig, the reference kernel's limits and what the operands are.
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
  const char* code;    // "E001": quant/reason_codes.def
  std::string reason;  // "no integer kernel"
};

struct SupportQuestion {
  const GraphModule& gm;
  March march = March::CPU;
  const QConfig* qconfig = nullptr;  // of the node; null: not to be quantized
  const WrittenValues* written = nullptr;
  // Of earlier nodes only: their value is integers; it has, or would have, 16 bits.
  std::function<bool(const Node*)> is_integer;
  std::function<bool(const Node*)> is_wide;
};

// An activation of qint16; false for null.
bool asks_for_int16(const QConfig* qconfig);

// nullopt: the call runs in integers.
std::optional<Refusal> refuse_integers(const Node& node, const SupportQuestion& question);

// Calls that quantization does not concern: sizes, numbers, lists, stubs, tensors of one number (a
// constant, whatever its shape).
bool is_plumbing(const Node& node);
// pow(8.0, 0.5), a branch that gives a number: numbers of numbers, known before any data.
bool computes_numbers(const Node& node);
// The march runs the op in integers, and this library computes it in float between dequantize and
// quantize.
bool runs_through_float(const GraphModule& gm, const Node& node, March march);
// getitem of an integer tuple is the same integers too.
bool shares_operand(const Node& node);
// Activation operands that an integer form of the op reads as integers, the epilogue's addend
// included: of an op that shares its input's scale, that input alone.
std::vector<Node*> value_operands(const GraphModule& gm, const Node& node);
// False for results that are known to be no reals: indices, truth values.
bool may_be_quantized(const Type& type);

}  // namespace fxq
