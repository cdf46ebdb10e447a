// x: [2,3,32,32], axis 0 is "N":  run with 2 and with 3 images; what was 2 and became 3 is N
#include "fxq/export/typed_copy.h"

#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <map>
#include <unordered_set>

#include "fxq/base/status.h"
#include "fxq/export/check_guards.h"
#include "fxq/export/deduce_inputs.h"
#include "fxq/export/open_blocks.h"
#include "fxq/export/open_sizes.h"
#include "fxq/export/place_args.h"
#include "fxq/export/prepared_form.h"
#include "fxq/export/type_record.h"
#include "fxq/graph/ivalue_convert.h"
#include "fxq/graph/problems.h"
#include "fxq/graph/tensor_convert.h"
#include "fxq/graph/weighted_bn_module.h"
#include "fxq/passes/batch_norm_fold.h"
#include "fxq/passes/cleanup.h"

namespace fxq {
namespace {

// By how much dynamic axes grow in the second run: the first that the model accepts.
const std::vector<int64_t> kSteps{1, 2, 32};

// Sizes for symbols: all axes of one symbol have one size.
using Sizes = std::map<std::string, int64_t>;

// Zeros of the type; undefined if a dim is unknown.
at::Tensor zeros_like_type(const Type& type, const Sizes& sizes) {
  if (!type.is_tensor() || !type.dims) return {};
  std::vector<int64_t> dims;
  for (const Dim& dim : *type.dims) {
    auto it = sizes.find(dim.symbol);
    if (!dim.is_known() && it == sizes.end()) return {};
    dims.push_back(dim.is_known() ? dim.size : it->second);
  }
  const auto scalar =
      static_cast<at::ScalarType>(scalar_type_number(type.dtype.value_or(DType::kF32)));
  return at::zeros(dims, scalar);
}

// One input per placeholder: constants of `args` stay, tensors get the sizes. Empty: not possible.
std::vector<c10::IValue> inputs_of(const GraphModule& model, const std::vector<c10::IValue>& args,
                                   const Sizes& sizes) {
  std::vector<c10::IValue> inputs;
  const std::vector<Node*> placeholders = model.graph().placeholders();
  for (size_t i = 0; i < placeholders.size(); ++i) {
    if (i < args.size() && !args[i].isTensor()) {
      inputs.push_back(args[i]);
      continue;
    }
    const at::Tensor zeros = zeros_like_type(placeholders[i]->type, sizes);
    if (!zeros.defined()) return {};
    inputs.emplace_back(zeros);
  }
  return inputs;
}

void merge(Type& known, const Type& seen) {
  const std::optional<QParams> qparams = known.qparams;
  const std::vector<Type> elements = std::move(known.elements);
  known = seen;
  if (seen.is_tensor()) known.qparams = qparams;
  for (size_t i = 0; i < known.elements.size() && !elements.empty(); ++i) {
    known.elements[i].qparams = elements[std::min(i, elements.size() - 1)].qparams;
  }
}

// What differs between two runs depends on a symbol: the one whose sizes it has, else unknown.
void forget_dims(Type& type, const Type& other, const Sizes& first, const Sizes& second) {
  for (size_t i = 0; i < type.elements.size() && i < other.elements.size(); ++i) {
    forget_dims(type.elements[i], other.elements[i], first, second);
  }
  if (!type.dims || !other.dims || type.rank() != other.rank()) return;
  for (size_t axis = 0; axis < type.dims->size(); ++axis) {
    Dim& dim = (*type.dims)[axis];
    const Dim& changed = (*other.dims)[axis];
    if (dim.size == changed.size) continue;
    Dim unknown;
    for (const auto& [symbol, size] : first) {
      if (size == dim.size && second.at(symbol) == changed.size) unknown.symbol = symbol;
    }
    dim = unknown;
  }
}

// Types of a model's inputs are told, those of a body's placeholders seen.
absl::Status take_types(GraphModule& model, const TypeRecord& record, bool is_body = false) {
  for (Node* node : model.graph().nodes()) {
    const auto seen = record.types.find(node->name());
    if (seen == record.types.end()) continue;
    if (is_body || !node->is(NodeKind::kPlaceholder)) merge(node->type, seen->second);
    BlockModule* block = called_block(model, *node);
    for (size_t i = 0; block && i < block->bodies().size(); ++i) {
      const TypeRecord part = part_of(record, body_prefix("", node->name(), i));
      FXQ_RETURN_IF_ERROR(take_types(block->bodies()[i], part, true));
    }
  }
  return write_known_values(model, record.values);
}

// Values that open sizes decide are not known, though the runs agree. Returns names of numbers that
// may be a size.
std::unordered_set<std::string> drop_open_values(const GraphModule& model, TypeRecord& record,
                                                 const std::string& prefix = "") {
  std::unordered_set<std::string> dropped;
  OpenSizes open([&](const Node& node) {
    const auto seen = record.types.find(prefix + node.name());
    return seen == record.types.end() ? node.type : seen->second;
  });
  for (const Node* node : model.graph().nodes()) {
    const auto value = record.values.find(prefix + node->name());
    if (value != record.values.end() && open.decide(*node)) {
      if (!value->second.isBool()) dropped.insert(value->first);
      record.values.erase(value);
    }
    const BlockModule* block = called_block(model, *node);
    for (size_t i = 0; block && i < block->bodies().size(); ++i) {
      dropped.merge(
          drop_open_values(block->bodies()[i], record, body_prefix(prefix, node->name(), i)));
    }
  }
  return dropped;
}

// Sizes that another run shows to be open.
void forget_open(Type& type, const Type& other) {
  for (size_t i = 0; i < type.elements.size() && i < other.elements.size(); ++i) {
    forget_open(type.elements[i], other.elements[i]);
  }
  if (!type.dims || !other.dims || type.rank() != other.rank()) return;
  for (size_t axis = 0; axis < type.dims->size(); ++axis) {
    Dim& dim = (*type.dims)[axis];
    if (dim.is_known() && !(*other.dims)[axis].is_known()) dim = Dim{};
  }
}

class Typing {
 public:
  Typing(GraphModule& model, const std::vector<c10::IValue>& args, const ExportOptions& options)
      : model_(model), args_(args), options_(options) {}

  absl::Status run_all() {
    take_args();
    const bool deduced = args_.empty() && deduce_input_types(model_) > 0;
    FXQ_RETURN_IF_ERROR(check_input_types());
    FXQ_RETURN_IF_ERROR(name_axes());
    if (deduced) return run_deduced();
    first_ = sizes_;
    const std::vector<c10::IValue> inputs = args_.empty() ? inputs_of(model_, {}, first_) : args_;
    if (inputs.size() != model_.graph().placeholders().size()) return absl::OkStatus();
    auto record = record_types(model_, inputs, options_);
    if (!record.ok()) {
      if (args_.empty()) return absl::OkStatus();  // zeros of an old type prove nothing
      return record.status();
    }
    if (!first_.empty()) FXQ_RETURN_IF_ERROR(run_with_other_sizes(*record, kSteps));
    return take(*record);
  }

 private:
  absl::Status take(TypeRecord& record) {
    drop_open_values(model_, record);
    return take_types(model_, record);
  }

  absl::Status check_input_types() const {
    Problems problems;
    for (const Node* node : model_.graph().placeholders()) {
      const bool is_tensor = node->type.is_tensor() || node->type.kind == Type::Kind::kUnknown;
      if (!is_tensor || node->type.rank() >= 0) continue;
      problems.add(
          fmt::format("input '{}' is {}: ONNX needs its rank and dtype; give example inputs (fxq "
                      "export: --shape)",
                      node->name(), node->type.to_string()));
    }
    return problems.status(absl::StatusCode::kInvalidArgument, "export_to_onnx");
  }

  // Finds sizes that the model runs with; keeps as many axes symbolic as it allows.
  absl::Status run_deduced() {
    absl::Status reason;
    for (const int64_t size : {224, 64, 48, 32, 28, 24, 12, 8, 299, 512}) {
      first_ = sizes_;
      for (auto& [symbol, value] : first_) value = symbol == kBatchSymbol ? 2 : size;
      auto record = record_types(model_, inputs_of(model_, {}, first_), options_);
      if (!record.ok()) {
        reason = record.status();
        continue;
      }
      // A small step proves little: pooling may round it away before a linear layer.
      if (!run_with_other_sizes(*record, {32}).ok()) {
        fix_sizes(first_);
        first_ = {{kBatchSymbol, 2}};
        FXQ_RETURN_IF_ERROR(run_with_other_sizes(*record, {1}));
      }
      return take(*record);
    }
    return absl::InvalidArgumentError(fmt::format(
        "the sizes of the inputs are not known, and the usual ones do not fit: {}; give example "
        "inputs (fxq export: --shape)",
        message_of(reason)));
  }

  // Symbols but the batch become the sizes that they have now.
  void fix_sizes(const Sizes& sizes) {
    for (Node* node : model_.graph().placeholders()) {
      if (!node->type.dims) continue;
      for (Dim& dim : *node->type.dims) {
        const auto it = sizes.find(dim.symbol);
        if (it != sizes.end() && dim.symbol != kBatchSymbol) dim = Dim{it->second, ""};
      }
    }
  }

  void take_args() {
    const std::vector<Node*> placeholders = model_.graph().placeholders();
    for (size_t i = 0; i < args_.size(); ++i) placeholders[i]->type = type_of(args_[i]);
  }

  // Turns the dynamic axes of the inputs into symbols and notes which size each stands for.
  absl::Status name_axes() {
    Problems problems;
    const std::vector<std::string> names = onnx_input_names(model_, options_);
    const std::vector<Node*> placeholders = model_.graph().placeholders();
    for (size_t i = 0; i < names.size(); ++i) {
      Type& type = placeholders[i]->type;
      const auto axes = options_.dynamic_axes.find(names[i]);
      if (axes != options_.dynamic_axes.end()) name_axes_of(names[i], axes->second, type, problems);
      for (const Dim& dim : type.dims.value_or(std::vector<Dim>())) {
        if (!dim.symbol.empty()) sizes_.emplace(dim.symbol, 2);
      }
    }
    return problems.status(absl::StatusCode::kInvalidArgument, "dynamic_axes");
  }

  void name_axes_of(const std::string& input, const AxisNames& axes, Type& type,
                    Problems& problems) {
    for (const auto& [index, symbol] : axes) {
      const int64_t axis = index < 0 ? index + type.rank() : index;
      if (axis < 0 || axis >= type.rank()) {
        problems.add(
            fmt::format("input '{}' is {}: it has no axis {}", input, type.to_string(), index));
        continue;
      }
      Dim& dim = (*type.dims)[static_cast<size_t>(axis)];
      const auto [it, is_new] = sizes_.emplace(symbol, dim.is_known() ? dim.size : 2);
      if (!is_new && dim.is_known() && it->second != dim.size) {
        problems.add(fmt::format("'{}' names axis {} of '{}' with {} elements, elsewhere it has {}",
                                 symbol, index, input, dim.size, it->second));
      }
      dim = Dim{-1, symbol};
    }
  }

  // Tries each step; the batch always grows by 1.
  absl::Status run_with_other_sizes(TypeRecord& record, const std::vector<int64_t>& steps) {
    absl::Status reason;
    for (const int64_t step : steps) {
      Sizes second = first_;
      for (auto& [symbol, size] : second) size += symbol == kBatchSymbol ? 1 : step;
      const std::vector<c10::IValue> inputs = inputs_of(model_, args_, second);
      if (inputs.empty()) return absl::OkStatus();
      auto others = record_types(model_, inputs, options_);
      if (!others.ok()) {
        if (reason.ok()) reason = others.status();
        continue;
      }
      for (auto& [name, type] : record.types) {
        const auto other = others->types.find(name);
        if (other != others->types.end()) forget_dims(type, other->second, first_, second);
      }
      keep_common(record.values, others->values);
      return forget_sizes_made_of_open_ones(record);
    }
    return absl::InvalidArgumentError(
        fmt::format("dynamic_axes: the model does not run with other sizes: {}; leave them out, or "
                    "trace a model that does not fix its sizes",
                    message_of(reason)));
  }

  // N // 10 was the same for both runs, and so was what is as long.
  absl::Status forget_sizes_made_of_open_ones(TypeRecord& record) {
    const std::unordered_set<std::string> same = drop_open_values(model_, record);
    if (same.empty()) return absl::OkStatus();
    const std::vector<c10::IValue> inputs = inputs_of(model_, args_, first_);
    FXQ_ASSIGN_OR_RETURN(const TypeRecord open, record_types(model_, inputs, options_, same));
    for (auto& [name, type] : record.types) {
      const auto other = open.types.find(name);
      if (other != open.types.end()) forget_open(type, other->second);
    }
    return absl::OkStatus();
  }

  GraphModule& model_;
  const std::vector<c10::IValue>& args_;
  const ExportOptions& options_;
  Sizes sizes_, first_;
};

// Examples that are no tensors are part of the model.
absl::Status write_constant_args(GraphModule& model, const std::vector<c10::IValue>& args) {
  KnownValues constants;
  const std::vector<Node*> placeholders = model.graph().placeholders();
  for (size_t i = 0; i < args.size(); ++i) {
    if (!args[i].isTensor()) constants[placeholders[i]->name()] = args[i];
  }
  return constants.empty() ? absl::OkStatus() : write_known_values(model, constants);
}

}  // namespace

std::vector<std::string> onnx_input_names(const GraphModule& model, const ExportOptions& options) {
  std::vector<std::string> names;
  for (const Node* node : model.graph().placeholders()) {
    const size_t i = names.size();
    const bool named = i < options.input_names.size() && !options.input_names[i].empty();
    names.push_back(named ? options.input_names[i] : node->name());
  }
  return names;
}

absl::StatusOr<GraphModule> typed_copy(const GraphModule& model,
                                       const std::vector<c10::IValue>& args,
                                       const ExportOptions& options) {
  FXQ_ASSIGN_OR_RETURN(GraphModule copy, exportable_copy(model));
  if (options.training != TrainingMode::kPreserve) {
    copy.train(options.training == TrainingMode::kTraining);
  }
  if (!copy.is_training()) fold_batch_norm_modules(copy);
  FXQ_RETURN_IF_ERROR(refuse_weighted_bn(copy, "export_to_onnx"));
  FXQ_RETURN_IF_ERROR(open_attention(copy).status());
  open_blocks(copy);
  FXQ_ASSIGN_OR_RETURN(const std::vector<c10::IValue> placed, place_args(copy, args));
  FXQ_RETURN_IF_ERROR(write_constant_args(copy, placed));
  FXQ_RETURN_IF_ERROR(Typing(copy, placed, options).run_all());
  hand_over_parameters(copy);
  FXQ_ASSIGN_OR_RETURN(copy.notes, check_guards(model, copy));
  FXQ_RETURN_IF_ERROR(drop_guards(copy).status());
  FXQ_RETURN_IF_ERROR(drop_block_guards(copy, copy.notes));
  return copy;
}

DynamicAxes dynamic_batch_axes(const GraphModule& model, const std::vector<c10::IValue>& args) {
  ExportOptions options;
  size_t i = 0;
  for (const Node* node : model.graph().placeholders()) {
    const Type type = i < args.size() ? type_of(args[i]) : node->type;
    ++i;
    if (type.is_tensor() && type.rank() > 0) options.dynamic_axes[node->name()][0] = "N";
  }
  return typed_copy(model, args, options).ok() ? options.dynamic_axes : DynamicAxes();
}

}  // namespace fxq
