// For each segment in order: its inputs by name out of the values so far -> Executor (BPU) or
// interpreter (CPU) -> its outputs by name. Quantize and dequantize nodes are in the segments.
#include "fxq/runtime/lower/segmented.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <map>

#include "fxq/base/status.h"
#include "fxq/graph/interpreter.h"
#include "fxq/graph/ivalue_convert.h"
#include "fxq/graph/tensor_convert.h"
#include "fxq/quant/hybrid.h"
#include "fxq/quant/segment_values.h"
#include "fxq/runtime/executor.h"
#include "fxq/runtime/lower/aten_kernels.h"
#include "fxq/runtime/lower/lower.h"

namespace fxq {
namespace {

using Values = std::map<std::string, c10::IValue>;

struct Part {
  ExtractedSegment segment;
  std::unique_ptr<Executor> executor;  // null: runs in float
};

absl::StatusOr<std::unique_ptr<Executor>> make_executor(const GraphModule& gm,
                                                        const SegmentedOptions& options) {
  FXQ_ASSIGN_OR_RETURN(Program program, lower(gm));
  ExecutorOptions executor;
  executor.threads = options.threads;
  AtenOptions aten;
  aten.allow_torchscript = options.allow_torchscript;
  executor.provider = aten_kernels(aten);
  return Executor::create(std::move(program), executor);
}

absl::StatusOr<std::vector<c10::IValue>> run_part(const Part& part,
                                                  std::vector<c10::IValue> inputs) {
  std::vector<c10::IValue> outputs;
  if (!part.executor) {
    FXQ_ASSIGN_OR_RETURN(const c10::IValue result, part.segment.model.forward(std::move(inputs)));
    return result.toTupleRef().elements().vec();
  }
  std::vector<HostTensor> tensors;
  for (const c10::IValue& input : inputs) {
    FXQ_ASSIGN_OR_RETURN(HostTensor tensor, to_host_tensor(input.toTensor()));
    tensors.push_back(std::move(tensor));
  }
  FXQ_ASSIGN_OR_RETURN(const std::vector<HostTensor> results, part.executor->run(tensors));
  for (const HostTensor& result : results) outputs.emplace_back(to_at_tensor(result).clone());
  return outputs;
}

// What the graph's output node names.
c10::IValue assemble(const Argument& argument, const std::map<const Node*, c10::IValue>& values) {
  if (const Node* node = argument.node()) return values.at(node);
  const std::vector<Argument>* items = argument.items();
  if (const auto* dict = argument.get_if<DictArg>()) {
    c10::Dict<std::string, at::Tensor> result;
    for (const auto& [key, value] : dict->items) {
      result.insert(*key.get_if<std::string>(), assemble(value, values).toTensor());
    }
    return result;
  }
  if (!items) return to_ivalue(argument);
  std::vector<c10::IValue> parts;
  for (const Argument& item : *items) parts.push_back(assemble(item, values));
  if (argument.is<ListArg>()) {
    c10::List<at::Tensor> list;
    for (const c10::IValue& part : parts) list.push_back(part.toTensor());
    return list;
  }
  return c10::ivalue::Tuple::create(std::move(parts));
}

}  // namespace

struct SegmentedModel::State {
  GraphModule whole;
  Partitions partitions;
  std::vector<Part> parts;
  int64_t copies = 0, bytes = 0;

  // Boundaries are in the segments: outside of them, a value is a float.
  absl::StatusOr<c10::IValue> find(const std::string& name, const Values& values) const {
    const Node* node = whole.graph().find(name);
    const auto found = values.find(float_value(node)->name());
    if (found != values.end()) return found->second;
    return absl::InternalError(fmt::format("no segment has computed %{}", name));
  }

  void count(size_t index, const Values& values) {
    for (const Boundary& boundary : partitions.boundaries) {
      if (boundary.to != static_cast<int>(index)) continue;
      ++copies;
      const auto found = values.find(float_value(boundary.value)->name());
      if (found == values.end() || !found->second.isTensor()) continue;
      const DType dtype = boundary.value->type.dtype.value_or(DType::kF32);
      bytes += found->second.toTensor().numel() * static_cast<int64_t>(dtype_size(dtype));
    }
  }

  absl::Status run_part_at(size_t index, Values& values) {
    const Part& part = parts[index];
    std::vector<c10::IValue> inputs;
    for (const std::string& name : part.segment.inputs) {
      FXQ_ASSIGN_OR_RETURN(c10::IValue value, find(name, values));
      inputs.push_back(std::move(value));
    }
    count(index, values);
    FXQ_ASSIGN_OR_RETURN(const std::vector<c10::IValue> outputs, run_part(part, std::move(inputs)));
    for (size_t i = 0; i < outputs.size(); ++i) values[part.segment.outputs[i]] = outputs[i];
    return absl::OkStatus();
  }
};

SegmentedModel::SegmentedModel(std::unique_ptr<State> state) : state_(std::move(state)) {}
SegmentedModel::~SegmentedModel() = default;
SegmentedModel::SegmentedModel(SegmentedModel&&) noexcept = default;
SegmentedModel& SegmentedModel::operator=(SegmentedModel&&) noexcept = default;

absl::StatusOr<SegmentedModel> SegmentedModel::create(const QuantizedGraph& model,
                                                      const SegmentedOptions& options) {
  auto state = std::make_unique<State>();
  state->whole = model.graph_module().copy();
  state->partitions = partition(state->whole);
  const QuantizedGraph whole(state->whole.copy(), model.report);
  const Partitions partitions = partition(whole.graph_module());
  for (int i = 0; i < static_cast<int>(partitions.segments.size()); ++i) {
    FXQ_ASSIGN_OR_RETURN(ExtractedSegment segment, extract_segment(whole, partitions, i));
    Part part{std::move(segment), nullptr};
    if (partitions.segments[static_cast<size_t>(i)].device == kBpuDevice) {
      FXQ_ASSIGN_OR_RETURN(part.executor,
                           make_executor(part.segment.model.graph_module(), options));
    }
    state->parts.push_back(std::move(part));
  }
  return SegmentedModel(std::move(state));
}

absl::StatusOr<c10::IValue> SegmentedModel::run(const std::vector<c10::IValue>& inputs) {
  const at::NoGradGuard no_grad;
  const Graph& graph = state_->whole.graph();
  const std::vector<Node*> placeholders = graph.placeholders();
  if (inputs.size() != placeholders.size()) {
    return absl::InvalidArgumentError(
        fmt::format("the model takes {} inputs, got {}", placeholders.size(), inputs.size()));
  }
  Values values;
  for (size_t i = 0; i < inputs.size(); ++i) values[placeholders[i]->name()] = inputs[i];
  state_->copies = state_->bytes = 0;
  for (size_t i = 0; i < state_->parts.size(); ++i) {
    FXQ_RETURN_IF_ERROR(state_->run_part_at(i, values));
  }
  std::map<const Node*, c10::IValue> outputs;
  for (const Node* node : graph.output_node()->inputs()) {
    FXQ_ASSIGN_OR_RETURN(outputs[node], state_->find(node->name(), values));
  }
  return assemble(graph.output_node()->args()[0], outputs);
}

int64_t SegmentedModel::copies() const { return state_->copies; }
int64_t SegmentedModel::copied_bytes() const { return state_->bytes; }
int SegmentedModel::segments() const { return static_cast<int>(state_->parts.size()); }

}  // namespace fxq
