// %size = size(%x, 0); %zeros = zeros([%size, 8]); %zeros_q = quantize(%zeros); %add = add(%h, ...)
//   the segment {%add}: body %size, %zeros, %zeros_q, %add; inputs %x, %h
#include "fxq/quant/segment_values.h"

#include "fxq/quant/op_support.h"

namespace fxq {
namespace {

class Collector {
 public:
  explicit Collector(const std::vector<const Node*>& ops) : own_(ops.begin(), ops.end()) {
    for (const Node* op : ops) collect(op);
  }

  SegmentValues take() { return std::move(result_); }

 private:
  void collect(const Node* node) {
    if (!result_.body.insert(node).second) return;
    for (const Node* input : node->inputs()) {
      if (own_.count(input) != 0) continue;
      if (comes_along(*input)) {
        collect(input);
      } else {
        result_.inputs.insert(input);
      }
    }
    for (const Node* user : node->users()) {  // several results leave one by one
      if (user->op() == OpId::kGetItem && comes_along(*user)) result_.body.insert(user);
    }
  }

  bool comes_along(const Node& node) const {
    if (node.op() == OpId::kRequantize) return true;
    if (is_boundary(node)) {
      const Node* source = float_value(&node);
      return own_.count(source) != 0 || comes_along(*source);
    }
    if (is_constant(node)) return true;
    if (node.op() == OpId::kGetItem) {
      const Node* list = node.inputs().empty() ? nullptr : node.inputs()[0];
      return !node.type.is_tensor() || (list && own_.count(list) != 0);
    }
    return node.is_call() && (computes_numbers(node) || op_def(node.op()).rule == Rule::kNotTensor);
  }

  static bool is_constant(const Node& node) {
    return node.is(NodeKind::kGetAttr) || (node.is_call() && op_def(node.op()).fills);
  }

  const std::set<const Node*> own_;
  SegmentValues result_;
};

}  // namespace

SegmentValues segment_values(const std::vector<const Node*>& ops) { return Collector(ops).take(); }

bool is_boundary(const Node& node) {
  return node.op() == OpId::kQuantize || node.op() == OpId::kDequantize ||
         node.op() == OpId::kRequantize;
}

const Node* float_value(const Node* node) {
  while (is_boundary(*node)) node = node->inputs()[0];
  return node;
}

}  // namespace fxq
