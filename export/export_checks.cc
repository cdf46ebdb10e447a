// Options and model -> one Status with every reason why the export cannot be done.
#include "fxq/export/export_checks.h"

#include <ATen/core/Tensor.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <onnx/defs/schema.h>

#include <algorithm>
#include <set>

#include "fxq/export/exporter.h"
#include "fxq/export/typed_copy.h"
#include "fxq/graph/ivalue_convert.h"
#include "fxq/graph/problems.h"
#include "fxq/quant/compare.h"
#include "fxq/quant/stage.h"

namespace fxq {

int newest_opset() {
  const auto& ranges = onnx::OpSchemaRegistry::DomainToVersionRange::Instance().Map();
  return ranges.at(onnx::ONNX_DOMAIN).second;
}

namespace {

void check_opset(const ExportOptions& options, Problems& problems) {
  if (options.opset_version < kOldestOpset || options.opset_version > newest_opset()) {
    problems.add(fmt::format("opset_version {}: {} to {} can be written", options.opset_version,
                             kOldestOpset, newest_opset()));
  }
}

void check_names(const std::vector<std::string>& names, const char* what, Problems& problems) {
  std::set<std::string> seen;
  for (const std::string& name : names) {
    if (!name.empty() && !seen.insert(name).second) {
      problems.add(fmt::format("{}: '{}' stands there twice", what, name));
    }
  }
}

// What an option asks of the graph's stage.
void check_stage(const GraphModule& model, const ExportOptions& options, Problems& problems) {
  const auto it = model.settings.find(kStageSetting);
  const std::string stage = it == model.settings.end() ? "" : it->second;
  const char* const what = stage == kStageObserved ? "prepared (its biases are floats still); "
                                                     "convert_fx makes integers"
                                                   : "float";
  if (stage != kStageQuantized && options.quant_format != QuantFormat::kQDQ) {
    problems.add(
        fmt::format("quant_format QOperator wants a quantized graph; this one is {}", what));
  }
  if (stage != kStageQuantized && options.profile != ExportProfile::kExact) {
    problems.add(fmt::format("profile ort wants a quantized graph; this one is {}", what));
  }
  if (stage == kStageQuantized && options.training == TrainingMode::kTraining) {
    problems.add("training TRAINING: a quantized graph does not train; export the prepared one");
  }
}

// Options that contradict each other.
void check_combinations(const ExportOptions& options, Problems& problems) {
  if (!options.export_params && options.keep_initializers_as_inputs == false) {
    problems.add(
        "export_params=false makes inputs of the parameters, keep_initializers_as_inputs=false "
        "forbids that");
  }
  for (const auto& [domain, version] : options.custom_opsets) {
    if (domain.empty() || domain == "ai.onnx") {
      problems.add(
          fmt::format("custom_opsets names ONNX's own domain; opset_version ({}) is its "
                      "version",
                      options.opset_version));
    } else if (version < 1) {
      problems.add(
          fmt::format("custom_opsets: version {} of '{}'; they begin at 1", version, domain));
    }
  }
}

}  // namespace

absl::Status check_export_options(const GraphModule& model, const ExportOptions& options) {
  Problems problems;
  check_opset(options, problems);
  check_stage(model, options, problems);
  check_combinations(options, problems);
  const size_t inputs = model.graph().placeholders().size();
  if (options.input_names.size() > inputs) {
    problems.add(fmt::format("input_names has {} names; the model has {} input(s)",
                             options.input_names.size(), inputs));
  }
  std::vector<std::string> names = onnx_input_names(model, options);
  names.insert(names.end(), options.output_names.begin(), options.output_names.end());
  check_names(names, "input_names and output_names", problems);
  const std::set<std::string> known(names.begin(), names.end());
  for (const auto& [name, axes] : options.dynamic_axes) {
    const bool is_node = model.graph().find(name) != nullptr;
    if (known.count(name) || is_node) continue;
    problems.add(fmt::format("dynamic_axes: no input or output is named '{}'; inputs are {}", name,
                             fmt::join(onnx_input_names(model, options), ", ")));
  }
  return problems.status(absl::StatusCode::kInvalidArgument, "export_to_onnx");
}

namespace {

bool may_be(const Type& output, const Type& example) {
  if (output.dtype && element_type(output) != example.dtype) return false;
  if (!output.dims) return true;
  if (output.rank() != example.rank()) return false;
  for (size_t i = 0; i < output.dims->size(); ++i) {
    const Dim& dim = (*output.dims)[i];
    if (dim.is_known() && dim.size != (*example.dims)[i].size) return false;
  }
  return true;
}

}  // namespace

absl::Status check_outputs(const std::vector<OnnxOutput>& outputs, const ExportOptions& options) {
  Problems problems;
  if (options.output_names.size() > outputs.size()) {
    problems.add(fmt::format("output_names has {} names; the model has {} output(s)",
                             options.output_names.size(), outputs.size()));
  }
  std::vector<at::Tensor> examples;
  for (const c10::IValue& value : options.example_outputs) {
    for (at::Tensor& tensor : flatten_tensors(value)) examples.push_back(std::move(tensor));
  }
  if (!examples.empty() && examples.size() != outputs.size()) {
    problems.add(fmt::format("example_outputs has {} tensors; the model has {} output(s)",
                             examples.size(), outputs.size()));
  }
  for (size_t i = 0; i < std::min(examples.size(), outputs.size()); ++i) {
    const Type example = type_of(c10::IValue(examples[i]));
    if (may_be(outputs[i].type, example)) continue;
    problems.add(fmt::format("example_outputs: output {} is {}, the example {}", i,
                             outputs[i].type.to_string(), example.to_string()));
  }
  return problems.status(absl::StatusCode::kInvalidArgument, "export_to_onnx");
}

ExportOptions with_axis_symbols(const GraphModule& model, const ExportOptions& options) {
  ExportOptions result = options;
  const std::vector<std::string> inputs = onnx_input_names(model, options);
  for (auto& [name, axes] : result.dynamic_axes) {
    const bool is_input = std::find(inputs.begin(), inputs.end(), name) != inputs.end();
    for (auto it = axes.begin(); it != axes.end();) {
      if (it->second.empty() && !is_input) {
        it = axes.erase(it);
        continue;
      }
      if (it->second.empty()) it->second = fmt::format("{}_axis_{}", name, it->first);
      ++it;
    }
  }
  return result;
}

}  // namespace fxq
