// %x_fq = fake_quantize @x_fq(%x)               %x_q = quantize(%x) : u8[..] q(0.01)
// %c = fq_conv2d @c(%x_fq)                ->    %c = conv2d @c(%x_q) : i8[..] q(0.02)
// %c_fq = fake_quantize @c_fq(%c)               %c_dq = dequantize(%c)
// return %c_fq                                  return %c_dq
#include "fxq/quant/convert_fx.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <set>

#include "fxq/base/status.h"
#include "fxq/graph/verifier.h"
#include "fxq/graph/view.h"
#include "fxq/passes/batch_norm_fold.h"
#include "fxq/passes/cleanup.h"
#include "fxq/quant/eager.h"
#include "fxq/quant/float_calls.h"
#include "fxq/quant/integer_weights.h"
#include "fxq/quant/op_support.h"
#include "fxq/quant/provenance.h"
#include "fxq/quant/quant_op_module.h"
#include "fxq/quant/reference_kernels/arithmetic.h"
#include "fxq/quant/stage.h"

namespace fxq {
namespace {

struct IntegerType {
  DType dtype;
  QParams qparams;
};

// The type with integers in it; every part of a list or tuple alike, but for indices.
Type with_integers(Type type, const IntegerType& integers) {
  if (!type.is_quantized() && !may_be_quantized(type)) return type;
  if (!type.elements.empty()) {
    for (Type& element : type.elements) element = with_integers(element, integers);
    return type;
  }
  type.kind = Type::Kind::kTensor;
  type.dtype = integers.dtype;
  type.qparams = integers.qparams;
  return type;
}

class Converter {
 public:
  Converter(GraphModule& gm, QuantReport& report)
      : gm_(gm), report_(report), float_ops_(float_ops(gm)) {}

  absl::Status convert() {
    find_scales();
    for (Node* node : gm_.graph().nodes()) {
      if (is_integer_op(*node)) FXQ_RETURN_IF_ERROR(convert_op(node));
    }
    for (Node* node : gm_.graph().nodes()) convert_reader(node);
    place_modules();
    rename_hidden_tensors();
    remove_fake_quants();
    return absl::OkStatus();
  }

 private:
  FakeQuantize* fake_quant(const Node& node) const {
    if (!node.is(NodeKind::kCallModule)) return nullptr;
    return dynamic_cast<FakeQuantize*>(gm_.module(node.target()).get());
  }
  // The value behind a fake quant.
  Node* behind(Node* node) const { return fake_quant(*node) ? node->args()[0].node() : node; }

  bool is_integer_op(const Node& node) const {
    if (node.op() == OpId::kGetItem) return is_integer_part(node);
    return !is_plumbing(node) && !fake_quant(node) && float_ops_.count(node.name()) == 0;
  }

  // Of a value of several results that are integers.
  bool is_integer_part(const Node& node) const {
    const Node* whole = node.args().empty() ? nullptr : node.args()[0].node();
    return whole && is_integer_value(*whole);
  }

  void find_scales() {
    for (Node* node : gm_.graph().nodes()) {
      if (const FakeQuantize* fq = fake_quant(*node)) {
        const IntegerType type{fq->dtype(), {fq->scale().item<float>(), 0}};
        scales_.emplace(node->args()[0].node(), type);
      }
    }
    for (Node* node : gm_.graph().nodes()) {
      if (scales_.count(node) || !may_move_integers(*node)) continue;
      const std::vector<Node*> operands = value_operands(gm_, *node);
      Node* source = operands.empty() ? nullptr : behind(operands[0]);
      // Ops that stay float are listed; parts of lists are not, they follow their list.
      const bool part = node->op() == OpId::kGetItem;
      if (!source || !(part ? is_integer_value(*source) : scales_.count(source) != 0)) continue;
      const IntegerType type = scales_.at(source);
      scales_.emplace(node, type);
    }
  }

  // An integer op without a fake quant of its own gives its operand's integers.
  bool may_move_integers(const Node& node) const {
    const OpDef& def = op_def(node.op());
    const bool gives_floats = is_weighted(node.op()) || def.contracts || def.rule == Rule::kAnswers;
    return !is_plumbing(node) && !fake_quant(node) && !gives_floats &&
           may_be_quantized(node.type) && float_ops_.count(node.name()) == 0;
  }

  // Computed as integers, rather than quantized for some reader.
  bool is_integer_value(const Node& node) const {
    return scales_.count(&node) != 0 && is_integer_op(node);
  }

  absl::Status convert_op(Node* node) {
    for (Node* operand : value_operands(gm_, *node)) {
      if (scales_.count(behind(operand)) == 0) {
        return absl::FailedPreconditionError(
            fmt::format("%{} reads %{}, which has no fake quant; prepare the model again",
                        node->name(), operand->name()));
      }
      Node* integers = in_width_of(*node, operand, integer_form(behind(operand)));
      if (integers != operand) gm_.graph().replace_input(node, operand, integers);
    }
    read_rest_as_floats(node);
    auto scale = scales_.find(node);
    if (scale != scales_.end()) node->type = with_integers(node->type, scale->second);
    if (!is_weighted(node->op())) return absl::OkStatus();
    return convert_weights(node);
  }

  // Operands beside the ones that its kernel reads: boxes, indices.
  void read_rest_as_floats(Node* node) {
    if (!shares_operand(*node)) return;
    const std::vector<Node*> read = value_operands(gm_, *node);
    const std::vector<Node*> inputs(node->inputs().begin(), node->inputs().end());
    for (Node* input : inputs) {
      const bool is_read = std::find(read.begin(), read.end(), input) != read.end();
      Node* value = behind(input);
      if (is_read || op_def(value->op()).rule == Rule::kNotTensor) continue;
      if (!is_integer_value(*value) && value == input) continue;
      gm_.graph().replace_input(node, input, float_form(integer_form(value)));
    }
  }

  static absl::Status named(const Node& node, const absl::Status& status) {
    return {status.code(),
            fmt::format("%{} ({}): {}", node.name(), node.target(), std::string(status.message()))};
  }

  absl::Status convert_weights(Node* node) {
    auto* op = dynamic_cast<QuantOpModule*>(gm_.op_module(*node));
    if (!op) {
      return absl::FailedPreconditionError(
          fmt::format("%{} has no weight fake quant; prepare the model first", node->name()));
    }
    for (const absl::Status& observed : {op->observe_weight(), op->refresh_weight_scale()}) {
      if (!observed.ok()) return named(*node, observed);
    }
    const auto folded = op->folded();
    const Type& input = OpView(gm_, node).operand(0)->type;
    std::vector<std::string> notes;
    auto module = make_integer_module(
        {*folded, *op->weight_fake_quant(), *input.qparams, *input.dtype, node->type.qparams},
        notes);
    if (!module.ok()) return named(*node, module.status());
    for (const std::string& note : notes) {
      report_.notes.push_back(fmt::format("%{}: {}", node->name(), note));
    }
    new_modules_.emplace_back(node, *std::move(module));
    return absl::OkStatus();
  }

  // What an op adds, joins or compares has the width of its result: 8-bit integers keep their
  // scale in 16 bits, 16-bit ones keep their upper half.
  Node* in_width_of(const Node& node, const Node* operand, Node* integers) {
    const auto result = scales_.find(&node);
    const bool is_input = is_weighted(node.op()) && operand != node.epilogue_add();
    if (result == scales_.end() || is_input || shares_operand(node)) return integers;
    const bool is_wide = integers->type.dtype == DType::kI16;
    if (is_wide == (result->second.dtype == DType::kI16)) return integers;
    Node*& other = other_width_[integers];
    if (other) return other;
    IntegerType type{is_wide ? DType::kI8 : DType::kI16, *integers->type.qparams};
    if (is_wide) type.qparams.scale *= 256.0F;
    const InsertionPoint point(gm_.graph(), integers->next());
    other = gm_.graph().call_op(OpId::kRequantize, {Argument(integers)}, {},
                                integers->name() + (is_wide ? "_i8" : "_i16"));
    other->type = with_integers(integers->type, type);
    other->owner = integers->owner;
    other->device = integers->device;
    return other;
  }

  // The node that holds `value` as integers: itself, or a quantize behind it.
  Node* integer_form(Node* value) {
    if (is_integer_value(*value)) return value;
    Node*& quantized = quantized_[value];
    if (quantized) return quantized;
    const IntegerType& type = scales_.at(value);
    const InsertionPoint point(gm_.graph(), place_after(value));
    if (value->is(NodeKind::kGetAttr)) {
      const std::string path = gm_.unique_path(value->target() + "_q");
      gm_.set_tensor(
          path, quantize(gm_.tensor(value->target()).detach(), type.qparams.scale, type.dtype));
      quantized = gm_.graph().get_attr(path, value->name() + "_q");
    } else {
      quantized = gm_.graph().call_op(OpId::kQuantize, {Argument(value)}, {}, value->name() + "_q");
    }
    quantized->type = with_integers(value->type, type);
    quantized->owner = value->owner;
    return quantized;
  }

  Node* float_form(Node* integers) {
    Node*& floats = dequantized_[integers];
    if (floats) return floats;
    const InsertionPoint point(gm_.graph(), integers->next());
    floats =
        gm_.graph().call_op(OpId::kDequantize, {Argument(integers)}, {}, integers->name() + "_dq");
    floats->type = integers->type;
    floats->type.dtype = DType::kF32;
    floats->type.qparams.reset();
    floats->owner = integers->owner;
    return floats;
  }

  Node* place_after(Node* value) const {
    return value->is(NodeKind::kPlaceholder) ? gm_.graph().placeholders().back()->next()
                                             : value->next();
  }

  // Float ops and the output read floats; a float call of a module that elsewhere has integers gets
  // its float weights back.
  void convert_reader(Node* node) {
    if (is_integer_op(*node) || fake_quant(*node) || node->op() == OpId::kQuantize ||
        node->op() == OpId::kDequantize) {
      return;
    }
    const auto* quant_op = dynamic_cast<const QuantOpModule*>(gm_.op_module(*node));
    if (quant_op) new_modules_.emplace_back(node, quant_op->folded());
    const bool only_shape = op_def(node->op()).rule == Rule::kNotTensor;
    const std::vector<Node*> inputs(node->inputs().begin(), node->inputs().end());
    for (Node* input : inputs) {
      Node* value = behind(input);
      Node* form = value;
      if (!only_shape && is_integer_value(*value))
        form = float_form(value);
      else if (!only_shape && value != input)
        form = float_form(integer_form(value));
      if (form != input) gm_.graph().replace_input(node, input, form);
    }
  }

  // Each call of a shared module has its own scales: the first keeps the path.
  void place_modules() {
    std::set<std::string> placed;
    for (auto& [node, module] : new_modules_) {
      std::string path = node->target();
      if (!placed.insert(path).second) path = gm_.unique_path(path);
      gm_.set_module(path, std::move(module));
      gm_.graph().set_target(node, path, {node->op(), node->schema()});
    }
  }

  bool is_another_of_its_module(const std::string& path) const {
    const size_t dot = path.rfind('.');
    const auto module = dot == std::string::npos ? nullptr : gm_.module(path.substr(0, dot));
    if (!module) return false;
    const NamedTensors tensors = module->tensors();
    return std::any_of(tensors.begin(), tensors.end(), [&](const auto& entry) {
      return entry.first == path.substr(dot + 1) && !entry.second.is_same(gm_.tensor(path));
    });
  }

  // Code that is kept whole reads a module's float weights by their path, which is now that of its
  // integers.
  void rename_hidden_tensors() {
    std::vector<Node*> hidden;
    for (Node* node : gm_.graph().nodes()) {
      if (!node->is(NodeKind::kGetAttr) || !is_another_of_its_module(node->target())) continue;
      hidden.push_back(node);
    }
    for (Node* node : hidden) {
      const std::string path = gm_.unique_path(node->target() + "_float");
      gm_.set_tensor(path, gm_.tensor(node->target()));
      const InsertionPoint here(gm_.graph(), node);
      Node* read = gm_.graph().get_attr(path, node->name());
      read->type = node->type;
      read->owner = node->owner;
      gm_.graph().replace_all_uses(node, read);
      gm_.graph().take_name(read, node);
      gm_.graph().erase(node).IgnoreError();
    }
  }

  void remove_fake_quants() {
    std::vector<Node*> dead;
    for (Node* node : gm_.graph().nodes()) {
      const bool stub = node->op() == OpId::kQuantStub || node->op() == OpId::kDeQuantStub;
      if (stub) gm_.graph().replace_all_uses(node, node->args()[0].node());
      if (stub || fake_quant(*node)) dead.push_back(node);
    }
    for (auto it = dead.rbegin(); it != dead.rend(); ++it) gm_.graph().erase(*it).IgnoreError();
  }

  GraphModule& gm_;
  QuantReport& report_;
  std::map<std::string, std::pair<std::string, std::string>> float_ops_;
  std::unordered_map<const Node*, IntegerType> scales_;
  std::unordered_map<const Node*, Node*> quantized_;
  std::unordered_map<const Node*, Node*> dequantized_;
  std::unordered_map<const Node*, Node*> other_width_;
  std::vector<std::pair<Node*, std::shared_ptr<LeafModule>>> new_modules_;
};

// An observer of nothing but zeros gives the least scale that there is: other data saturates.
void note_zeros(const GraphModule& gm, QuantReport& report) {
  std::vector<std::string> names;
  for (const std::string& path : gm.module_paths()) {
    const auto* fake_quant = dynamic_cast<const FakeQuantize*>(gm.module(path).get());
    if (!fake_quant || !fake_quant->is_calibrated()) continue;
    const float scale = fake_quant->scale().max().item<float>();
    if (scale <= std::numeric_limits<float>::epsilon()) names.push_back(path);
  }
  if (names.empty()) return;
  report.notes.push_back(
      fmt::format("saw only zeros, so that other data saturates: {}; is the calibration data real?",
                  fmt::join(names, ", ")));
}

absl::Status check_calibrated(const ObservedGraphModule& model, const ConvertOptions& options,
                              QuantReport& report) {
  std::vector<std::string> names;
  const GraphModule& gm = model.graph_module();
  for (const std::string& path : gm.module_paths()) {  // weights need no data
    const auto* fake_quant = dynamic_cast<const FakeQuantize*>(gm.module(path).get());
    if (fake_quant && !fake_quant->is_calibrated()) names.push_back(path);
  }
  note_zeros(gm, report);
  if (names.empty()) return absl::OkStatus();
  const std::string list = fmt::format("{}", fmt::join(names, ", "));
  if (!options.allow_uncalibrated) {
    return absl::FailedPreconditionError(fmt::format(
        "convert_fx: these fake quants never saw data: {}; run calibration data "
        "through the prepared "
        "model, or set allow_uncalibrated (--allow-uncalibrated) to keep their scale of 1",
        list));
  }
  report.notes.push_back(fmt::format("never saw data, scale 1: {}", list));
  return absl::OkStatus();
}

// Integer kernels saturate at the ends of their dtype. Weights may have any range.
absl::Status check_ranges(const GraphModule& gm) {
  std::vector<std::string> narrow;
  for (const std::string& path : gm.module_paths()) {
    const auto* fake_quant = dynamic_cast<const FakeQuantize*>(gm.module(path).get());
    if (!fake_quant || fake_quant->options().observer_kwargs.has_full_range()) continue;
    const QRange range = fake_quant->range();
    narrow.push_back(fmt::format("{} [{}, {}] of {}", path, range.min, range.max,
                                 qdtype_name(fake_quant->dtype())));
  }
  if (narrow.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format(
      "convert_fx: these activations have a narrower range than their dtype, and integer kernels "
      "saturate at the dtype's ends: {}; prepare without quant_min, quant_max and reduce_range",
      fmt::join(narrow, ", ")));
}

absl::Status check_march(const ObservedGraphModule& model, const ConvertOptions& options) {
  FXQ_ASSIGN_OR_RETURN(const March prepared, march_of(model.graph_module()));
  if (!options.march || *options.march == prepared) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("convert_fx: the model was prepared for {}, not for {}", march_name(prepared),
                  march_name(*options.march)));
}

}  // namespace

absl::StatusOr<QuantizedGraph> convert_fx(const ObservedGraphModule& model,
                                          const ConvertOptions& options) {
  FXQ_RETURN_IF_ERROR(require_stage(model.graph_module(), kStageObserved, "convert_fx"));
  FXQ_RETURN_IF_ERROR(check_march(model, options));
  FXQ_RETURN_IF_ERROR(check_ranges(model.graph_module()));
  QuantReport report = model.report;
  FXQ_RETURN_IF_ERROR(check_calibrated(model, options, report));
  GraphModule gm = model.graph_module().copy();
  gm.eval();
  gm.settings.erase(kFloatCallsSetting);  // the qconfigs have done their work
  if (options.remove_qconfig) gm.settings.erase(kModuleQConfigSetting);
  fold_batch_norm_modules(gm);
  FXQ_RETURN_IF_ERROR(Converter(gm, report).convert());
  gm.settings[kStageSetting] = kStageQuantized;
  gm.settings[kCalibrationSetting] = calibration_fingerprint(model);
  FXQ_RETURN_IF_ERROR(dce(gm).status());
  FXQ_RETURN_IF_ERROR(preserve_attributes(model.graph_module(),
                                          options.convert_custom_config.preserved_attributes, gm));
  FXQ_RETURN_IF_ERROR(verify(gm));
  return QuantizedGraph(std::move(gm), std::move(report));
}

}  // namespace fxq
