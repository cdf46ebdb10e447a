// lstm, gru, rnn_tanh, rnn_relu -> LSTM, GRU, RNN, one per layer; a cell is a sequence of one step.
// ONNX keeps gates in another order (i o f c for ATen's i f g o; z r h for r z n), has directions
// as an axis, and time first.
#include <ATen/core/Tensor.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/stack.h>
#include <fmt/format.h>

#include "fxq/base/status.h"
#include "fxq/export/exporter.h"
#include "fxq/export/lowering/lowering.h"
#include "fxq/export/lowering/parts.h"
#include "fxq/export/opset_forms.h"

namespace fxq {
namespace {

struct Network {
  const char* op_type;
  std::vector<int64_t> gates;  // ONNX's gate i is ATen's gate gates[i]
  int64_t layers = 1, directions = 1;
  bool has_biases = true, batch_first = false;
  std::string activation;           // of an RNN
  std::vector<at::Tensor> weights;  // ATen's order
  std::vector<std::string> states;  // (layers * directions, N, H) each
};

at::Tensor reorder(const at::Tensor& weight, const std::vector<int64_t>& gates) {
  const std::vector<at::Tensor> parts = weight.chunk(static_cast<int64_t>(gates.size()), 0);
  std::vector<at::Tensor> ordered;
  for (const int64_t gate : gates) ordered.push_back(parts[static_cast<size_t>(gate)]);
  return at::cat(ordered, 0);
}

struct LayerWeights {
  std::string w, r, b;
};

absl::StatusOr<LayerWeights> layer_weights(Exporter& exporter, const std::string& path,
                                           const Network& net, int64_t layer) {
  const size_t count = net.has_biases ? 4 : 2;
  std::vector<at::Tensor> w, r, b;
  for (int64_t direction = 0; direction < net.directions; ++direction) {
    const at::Tensor* own =
        &net.weights[static_cast<size_t>(layer * net.directions + direction) * count];
    w.push_back(reorder(own[0], net.gates));
    r.push_back(reorder(own[1], net.gates));
    if (!net.has_biases) continue;
    b.push_back(at::cat({reorder(own[2], net.gates), reorder(own[3], net.gates)}));
  }
  LayerWeights result;
  FXQ_ASSIGN_OR_RETURN(result.w,
                       exporter.derived(fmt::format("{}.W{}", path, layer), at::stack(w)));
  FXQ_ASSIGN_OR_RETURN(result.r,
                       exporter.derived(fmt::format("{}.R{}", path, layer), at::stack(r)));
  if (!net.has_biases) return result;
  FXQ_ASSIGN_OR_RETURN(result.b,
                       exporter.derived(fmt::format("{}.B{}", path, layer), at::stack(b)));
  return result;
}

// y: [T, directions, N, H] -> [T, N, directions * H]
std::string join_directions(OnnxBuilder& builder, const std::string& y) {
  const std::string moved =
      builder.add("Transpose", {y}, {{"perm", std::vector<int64_t>{0, 2, 1, 3}}});
  return add_reshape(builder, moved, {0, 0, -1});
}

void add_activation(const Network& net, OnnxAttributes& attributes) {
  if (net.activation.empty()) return;
  const std::vector<std::string> each(static_cast<size_t>(net.directions), net.activation);
  attributes.emplace_back("activations", each);
}

absl::Status unroll(Exporter& exporter, const OpView& view, const Network& net) {
  OnnxBuilder& builder = exporter.builder();
  FXQ_ASSIGN_OR_RETURN(std::string x, exporter.operand(view));
  const OnnxAttributes swap{{"perm", std::vector<int64_t>{1, 0, 2}}};
  if (net.batch_first) x = builder.add("Transpose", {x}, swap);
  const int64_t hidden = net.weights[1].size(1);
  std::vector<std::vector<std::string>> last(net.states.size());
  for (int64_t layer = 0; layer < net.layers; ++layer) {
    FXQ_ASSIGN_OR_RETURN(const LayerWeights weights,
                         layer_weights(exporter, view.node()->name(), net, layer));
    OnnxCall call{net.op_type, {x, weights.w, weights.r, weights.b, ""}, {}, ""};
    for (const std::string& state : net.states) {
      const int64_t from = layer * net.directions;
      call.inputs.push_back(
          net.layers == 1 ? state : add_slice(builder, state, 0, from, from + net.directions));
    }
    call.attributes = {{"hidden_size", hidden}};
    if (net.directions == 2)
      call.attributes.emplace_back("direction", std::string("bidirectional"));
    add_activation(net, call.attributes);
    if (net.gates.size() == 3) call.attributes.emplace_back("linear_before_reset", int64_t{1});
    const std::vector<std::string> made = builder.add_many(std::move(call), 1 + last.size());
    x = join_directions(builder, made[0]);
    for (size_t i = 0; i < last.size(); ++i) last[i].push_back(made[i + 1]);
  }
  if (net.batch_first) x = builder.add("Transpose", {x}, swap);
  std::vector<std::string> parts{x};
  for (std::vector<std::string>& states : last) {
    parts.push_back(states.size() == 1 ? states[0]
                                       : builder.add("Concat", states, {{"axis", int64_t{0}}}));
  }
  return finish_parts(exporter, view, std::move(parts));
}

absl::Status read_tensors(Exporter& exporter, const OpView& view, Network& net) {
  const size_t states = net.gates.size() == 4 ? 2 : 1;
  const size_t first = 1 + states;
  const auto count = static_cast<size_t>(net.layers * net.directions * (net.has_biases ? 4 : 2));
  if (view.operands().size() != first + count) {
    return absl::UnimplementedError("an LSTM with projections, or weights that are not constants");
  }
  for (size_t i = 0; i < states; ++i) {
    FXQ_ASSIGN_OR_RETURN(std::string state, exporter.operand(view, 1 + i));
    net.states.push_back(std::move(state));
  }
  for (size_t i = first; i < view.operands().size(); ++i) {
    const Node* weight = view.operand(i);
    if (!weight->is(NodeKind::kGetAttr)) {
      return absl::UnimplementedError("weights that are computed while running");
    }
    net.weights.push_back(exporter.graph_module().tensor(weight->target()).detach());
  }
  return absl::OkStatus();
}

absl::Status recurrent(Exporter& exporter, const OpView& view, Network net) {
  if (in_training(exporter, view) && view.attr_float("dropout") > 0) {
    return absl::UnimplementedError("dropout between layers in training");
  }
  net.layers = view.attr_int("num_layers", 1);
  net.directions = view.attr_bool("bidirectional") ? 2 : 1;
  net.has_biases = view.attr_bool("has_biases", true);
  net.batch_first = view.attr_bool("batch_first");
  FXQ_RETURN_IF_ERROR(read_tensors(exporter, view, net));
  if (view.operand(0)->type.rank() != 3) {
    return absl::UnimplementedError("a sequence without a batch axis");
  }
  return unroll(exporter, view, net);
}

// Results of one step: its states, [N, H] each.
absl::Status one_step(Exporter& exporter, const OpView& view, Network net) {
  if (view.operand(0)->type.rank() != 2) {
    return absl::UnimplementedError(
        fmt::format("an input without a batch axis, {}", view.operand(0)->type.to_string()));
  }
  OnnxBuilder& builder = exporter.builder();
  for (const char* name : {"w_ih", "w_hh", "b_ih", "b_hh"}) {
    const at::Tensor weight = view.param(name);
    if (weight.defined()) net.weights.push_back(weight.detach());
  }
  if (net.weights.size() != 4 && net.weights.size() != 2) {
    return absl::UnimplementedError("weights that are computed while running");
  }
  net.has_biases = net.weights.size() == 4;
  FXQ_ASSIGN_OR_RETURN(const LayerWeights weights,
                       layer_weights(exporter, view.node()->name(), net, 0));
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  OnnxCall call{net.op_type,
                {add_unsqueeze(builder, x, {0}), weights.w, weights.r, weights.b, ""},
                {{"hidden_size", net.weights[1].size(1)}},
                ""};
  const size_t states = view.operands().size() - 1;
  for (size_t i = 0; i < states; ++i) {
    FXQ_ASSIGN_OR_RETURN(const std::string state, exporter.operand(view, i + 1));
    call.inputs.push_back(add_unsqueeze(builder, state, {0}));
  }
  if (net.gates.size() == 3) call.attributes.emplace_back("linear_before_reset", int64_t{1});
  std::vector<std::string> made = builder.add_many(std::move(call), 1 + states);
  made.erase(made.begin());
  for (std::string& state : made) state = add_squeeze(builder, state, {0});
  if (states == 1) return exporter.finish(view, made[0]);
  return finish_parts(exporter, view, std::move(made));
}

Network lstm() {
  Network net;
  net.op_type = "LSTM";
  net.gates = {0, 3, 1, 2};
  return net;
}

Network gru() {
  Network net;
  net.op_type = "GRU";
  net.gates = {1, 0, 2};
  return net;
}

Network rnn(const char* activation) {
  Network net;
  net.op_type = "RNN";
  net.gates = {0};
  net.activation = activation;
  return net;
}

}  // namespace

absl::Status onnx_Lstm(Exporter& exporter, const OpView& view) {
  return recurrent(exporter, view, lstm());
}

absl::Status onnx_Gru(Exporter& exporter, const OpView& view) {
  return recurrent(exporter, view, gru());
}

absl::Status onnx_RnnTanh(Exporter& exporter, const OpView& view) {
  return recurrent(exporter, view, rnn("Tanh"));
}

absl::Status onnx_RnnRelu(Exporter& exporter, const OpView& view) {
  return recurrent(exporter, view, rnn("Relu"));
}

absl::Status onnx_LstmCell(Exporter& exporter, const OpView& view) {
  return one_step(exporter, view, lstm());
}

absl::Status onnx_GruCell(Exporter& exporter, const OpView& view) {
  return one_step(exporter, view, gru());
}

}  // namespace fxq
