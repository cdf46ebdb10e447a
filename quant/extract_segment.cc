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
#include "fxq/quant/partition.h"
#include "fxq/quant/segment_values.h"

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
      : whole_(whole),
        segment_(segment),
        own_(segment.nodes.begin(), segment.nodes.end()),
        values_(segment_values(segment.nodes)) {}

  absl::StatusOr<ExtractedSegment> run(const QuantReport& report) {
    GraphModule gm = whole_.copy_without_graph();
    gm_ = &gm;
    add_inputs();
    for (const Node* node : values_.body) copy_node(node);
    add_output();
    FXQ_RETURN_IF_ERROR(dce(gm).status());
    gm.remove_unused();
    FXQ_RETURN_IF_ERROR(verify(gm));
    return ExtractedSegment{QuantizedGraph(std::move(gm), report_of_segment(report)), inputs_,
                            outputs_};
  }

 private:
  // One input for a value that is read as floats and as integers.
  void add_inputs() {
    std::map<const Node*, Node*> placeholders;
    for (const Node* value : values_.inputs) {
      Node*& in = placeholders[float_value(value)];
      if (in) continue;
      const std::string& name = float_value(value)->name();
      in = gm_->graph().placeholder(name, as_floats(value->type));
      inputs_.push_back(name);
    }
    for (const Node* value : values_.inputs) {
      Node* in = placeholders.at(float_value(value));
      map_[value] = in;
      if (!value->type.is_quantized()) continue;
      Node* integers =
          gm_->graph().call_op(OpId::kQuantize, {Argument(in)}, {}, value->name() + "_in");
      integers->type = value->type;
      map_[value] = integers;
    }
  }

  void copy_node(const Node* node) {
    map_[node] =
        gm_->graph().node_copy(node, [&](Node* input) { return Argument(map_.at(input)); });
  }

  // Something outside of the segment reads it, be it through what comes along there as well: a
  // boundary, a size.
  bool is_read_outside(const Node* node) const {
    return std::any_of(node->users().begin(), node->users().end(), [&](const Node* user) {
      if (values_.body.count(user) == 0) return true;
      const bool comes_along = own_.count(user) == 0 && user->op() != OpId::kGetItem;
      return comes_along && is_read_outside(user);
    });
  }

  void add_output() {
    std::vector<Argument> values;
    for (const Node* node : values_.body) {
      const bool tensor = node->type.is_tensor() || node->type.kind == Type::Kind::kUnknown;
      const bool made_here = own_.count(node) != 0 || node->op() == OpId::kGetItem;
      if (!tensor || !made_here || !is_read_outside(node)) continue;
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
  const std::set<const Node*> own_;
  const SegmentValues values_;
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
