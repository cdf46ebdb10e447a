// segment {conv}, reading %x_q and read by %conv_dq:
//   graph (%x_q: f32) { %x_q_in = quantize(%x_q); %conv = conv2d @c(%x_q_in)
//                       %conv_out = dequantize(%conv); return (%conv_out,) }
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "fxq/base/status.h"
#include "fxq/graph/verifier.h"
#include "fxq/passes/cleanup.h"
#include "fxq/quant/op_support.h"
#include "fxq/quant/partition.h"

namespace fxq {
namespace {

Type as_floats(Type type) {
  if (!type.is_quantized()) return type;
  type.qparams.reset();
  type.dtype = DType::kF32;
  return type;
}

class Extraction {
 public:
  Extraction(const GraphModule& whole, const Segment& segment)
      : whole_(whole), segment_(segment), own_(segment.nodes.begin(), segment.nodes.end()) {}

  absl::StatusOr<ExtractedSegment> run(const QuantReport& report) {
    GraphModule gm = whole_.copy_without_graph();
    gm_ = &gm;
    for (const Node* node : segment_.nodes) collect(node);
    add_inputs();
    for (const Node* node : body_) copy_node(node);
    add_output();
    FXQ_RETURN_IF_ERROR(dce(gm).status());
    gm.remove_unused();
    FXQ_RETURN_IF_ERROR(verify(gm));
    return ExtractedSegment{QuantizedGraph(std::move(gm), report_of_segment(report)), inputs_,
                            outputs_};
  }

 private:
  struct InOrder {
    bool operator()(const Node* a, const Node* b) const { return a->is_before(b); }
  };

  // An op of the segment; constants and what is computed of sizes come along, too.
  void collect(const Node* node) {
    if (!body_.insert(node).second) return;
    for (const Node* input : node->inputs()) {
      if (own_.count(input) != 0) continue;
      if (comes_along(*input)) {
        collect(input);
      } else {
        values_in_.insert(input);
      }
    }
    for (const Node* user : node->users()) {  // several results leave one by one
      if (user->op() == OpId::kGetItem && comes_along(*user)) body_.insert(user);
    }
  }

  bool comes_along(const Node& node) const {
    if (node.is(NodeKind::kGetAttr)) return true;
    if (node.op() == OpId::kGetItem) {
      const Node* list = node.inputs().empty() ? nullptr : node.inputs()[0];
      return !node.type.is_tensor() || (list && own_.count(list) != 0);
    }
    if (node.is_call() && (computes_numbers(node) || op_def(node.op()).fills)) return true;
    const bool boundary = node.op() == OpId::kQuantize || node.op() == OpId::kDequantize;
    return node.is_call() && op_def(node.op()).rule == Rule::kNotTensor && !boundary;
  }

  void add_inputs() {
    for (const Node* value : values_in_) {
      Node* in = gm_->graph().placeholder(value->name(), as_floats(value->type));
      inputs_.push_back(value->name());
      map_[value] = in;
    }
    for (const Node* value : values_in_) {
      if (!value->type.is_quantized()) continue;
      Node* integers =
          gm_->graph().call_op(OpId::kQuantize, {Argument(map_[value])}, {}, value->name() + "_in");
      integers->type = value->type;
      map_[value] = integers;
    }
  }

  void copy_node(const Node* node) {
    map_[node] =
        gm_->graph().node_copy(node, [&](Node* input) { return Argument(map_.at(input)); });
  }

  // Values that something outside of the segment reads.
  void add_output() {
    std::vector<Argument> values;
    for (const Node* node : body_) {
      const bool tensor = node->type.is_tensor() || node->type.kind == Type::Kind::kUnknown;
      const bool made_here = own_.count(node) != 0 || node->op() == OpId::kGetItem;
      const bool is_read = std::any_of(node->users().begin(), node->users().end(),
                                       [&](const Node* user) { return body_.count(user) == 0; });
      if (!tensor || !made_here || !is_read) continue;
      outputs_.push_back(node->name());
      values.emplace_back(as_output(map_.at(node)));
    }
    gm_->graph().output(Argument::tuple(std::move(values)));
  }

  Node* as_output(Node* value) {
    if (!value->type.is_quantized()) return value;
    Node* floats =
        gm_->graph().call_op(OpId::kDequantize, {Argument(value)}, {}, value->name() + "_out");
    floats->type = as_floats(value->type);
    return floats;
  }

  QuantReport report_of_segment(const QuantReport& report) const {
    QuantReport own;
    for (const Node* node : segment_.nodes) {
      if (const OpStatus* op = report.find(node->name())) own.ops.push_back(*op);
    }
    return own;
  }

  const GraphModule& whole_;
  const Segment& segment_;
  std::set<const Node*> own_;
  std::set<const Node*, InOrder> body_, values_in_;
  std::map<const Node*, Node*> map_;
  std::vector<std::string> inputs_, outputs_;
  GraphModule* gm_ = nullptr;
};

}  // namespace

absl::StatusOr<ExtractedSegment> extract_segment(const QuantizedGraph& model,
                                                 const Partitions& partitions, int index) {
  const int count = static_cast<int>(partitions.segments.size());
  if (index < 0 || index >= count) {
    return absl::InvalidArgumentError(
        fmt::format("there is no segment {}; the graph has {}, from 0 on", index, count));
  }
  const Segment& segment = partitions.segments[static_cast<size_t>(index)];
  return Extraction(model.graph_module(), segment).run(model.report);
}

}  // namespace fxq
