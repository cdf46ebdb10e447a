// for each step: inputs' descs -> infer -> outputs' descs, compared with what the program declares.
#include "fxq/runtime/shape_inference.h"

#include <algorithm>

#include "absl/strings/str_join.h"
#include "fmt/format.h"
#include "fmt/ranges.h"
#include "fxq/base/nearest.h"
#include "fxq/base/status.h"
#include "fxq/runtime/kernel_table.h"
#include "fxq/runtime/storage.h"

namespace fxq {
namespace {

constexpr int64_t kMaxBytes = int64_t{1} << 46;

absl::Status at_step(const Step& step, const absl::Status& status) {
  const std::string where = fmt::format("step '{}' ({})", step.name, step.kernel);
  if (status.ok() || message_of(status).find(where) != std::string_view::npos) return status;
  return absl::Status(status.code(), fmt::format("{}: {}", where, message_of(status)));
}

bool fits_in_memory(DType dtype, absl::Span<const int64_t> dims) {
  auto left = kMaxBytes / static_cast<int64_t>(dtype_size(dtype));
  for (int64_t dim : dims) {
    if (dim < 0) return false;
    if (dim > 0) left /= dim;
  }
  return left > 0;
}

// What the table or the provider lacks for a step; "" = nothing.
std::string missing_kernel(const Step& step, const KernelProvider* provider) {
  if (step.kernel == "aten") {
    if (provider == nullptr) return "needs LibTorch's kernels (no KernelProvider was given)";
    const absl::Status status = provider->supports(step);
    return std::string(message_of(status));
  }
  std::vector<std::string> names;
  for (const KernelRow& row : kernel_table()) {
    if (row.name == step.kernel) {
      return fmt::format("version {} is not in this build, which has version {}", step.version,
                         row.version);
    }
    names.emplace_back(row.name);
  }
  return fmt::format("is unknown, {}", did_you_mean(step.kernel, names));
}

absl::Status check_declared(const Program& program, const Step& step, ValueId id,
                            const Desc& desc) {
  if (desc.absent) return absl::OkStatus();  // only a step that can do without may read it
  const Value& value = program.values[id];
  const bool same_type =
      desc.kind == value.kind && (desc.kind != ValueKind::kTensor || desc.dtype == value.dtype);
  const bool same_rank = desc.kind != ValueKind::kTensor || !value.rank ||
                         *value.rank == static_cast<int>(desc.rank());
  if (!same_type || !same_rank) {
    return at_step(step,
                   absl::InvalidArgumentError(fmt::format(
                       "gives {}, but the program declares {} as {}{}", desc.describe(), value.name,
                       value.kind == ValueKind::kTensor ? dtype_name(value.dtype)
                                                        : "a register of another kind",
                       value.rank ? fmt::format(" of rank {}", *value.rank) : "")));
  }
  if (desc.kind == ValueKind::kTensor && !fits_in_memory(desc.dtype, desc.dims)) {
    return at_step(step, absl::InvalidArgumentError(
                             fmt::format("gives {}, which has no valid size", desc.describe())));
  }
  return absl::OkStatus();
}

// 8/16-bit constants are plain bytes, which only kernels that ask for weights can read.
absl::Status check_constants(const Step& step, const Kernel& kernel, Descs inputs) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Desc& input = inputs[i];
    if (input.constant == nullptr || static_cast<int>(i) >= kernel.first_weight) continue;
    if (stored_plainly(input.dtype, input.dims.size())) continue;
    return at_step(step, absl::InvalidArgumentError(fmt::format(
                             "input {} is a constant of type {}: quantize a float constant instead",
                             i, dtype_name(input.dtype))));
  }
  return absl::OkStatus();
}

absl::Status set_inputs(const Program& program, absl::Span<const std::vector<int64_t>> shapes,
                        std::vector<Desc>& descs) {
  if (shapes.size() != program.inputs.size()) {
    return absl::InvalidArgumentError(fmt::format("got {} input shapes, the program has {} inputs",
                                                  shapes.size(), program.inputs.size()));
  }
  std::vector<std::string> problems;
  for (size_t i = 0; i < shapes.size(); ++i) {
    const Value& value = program.values[program.inputs[i]];
    if (value.rank && *value.rank != static_cast<int>(shapes[i].size())) {
      problems.push_back(fmt::format("input '{}': got shape [{}], need {} dimensions", value.name,
                                     fmt::join(shapes[i], ","), *value.rank));
    } else if (!fits_in_memory(value.dtype, shapes[i])) {
      problems.push_back(
          fmt::format("input '{}': [{}] is not a shape", value.name, fmt::join(shapes[i], ",")));
    }
    descs[program.inputs[i]] = tensor_desc(value.dtype, shapes[i]);
  }
  if (problems.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(problems, "; "));
}

absl::Status check_outputs(const Program& program, absl::Span<const Desc> descs) {
  for (ValueId id : program.output_values()) {
    if (!descs[id].absent) continue;
    return absl::UnimplementedError(fmt::format(
        "output '{}' is None for these inputs; a program gives tensors", program.values[id].name));
  }
  return absl::OkStatus();
}

bool reads_data(Descs inputs) {
  return std::any_of(inputs.begin(), inputs.end(), [](const Desc& input) {
    return input.kind == ValueKind::kTensor && input.constant == nullptr && !input.absent;
  });
}

// What a step of the provider gives, by what is known of it. Empty if that is nothing.
std::vector<Desc> known_results(const Program& program, const Step& step,
                                const ResultShapes* shapes) {
  std::vector<Desc> results;
  for (size_t i = 0; i < step.outputs.size(); ++i) {
    const Value& value = program.values[step.outputs[i]];
    if (value.kind != ValueKind::kTensor || (shapes != nullptr && i >= shapes->size())) return {};
    const std::vector<int64_t> nothing(static_cast<size_t>(value.rank.value_or(1)), 0);
    results.push_back(tensor_desc(value.dtype, shapes != nullptr ? (*shapes)[i] : nothing));
  }
  return results;
}

class Inferrer {
 public:
  Inferrer(const Program& program, const ResolvedKernels& kernels, const DataShapes& known)
      : program_(program), kernels_(kernels), known_(known), by_data_(program.values.size()) {
    result_.descs.resize(program.values.size());
  }

  absl::StatusOr<Inference> run(absl::Span<const std::vector<int64_t>> shapes) {
    set_constants();
    FXQ_RETURN_IF_ERROR(set_inputs(program_, shapes, result_.descs));
    const int count = static_cast<int>(program_.steps.size());
    for (; result_.end < count; ++result_.end) {
      const absl::Status status = infer_step(result_.end);
      if (status.ok()) continue;
      if (!is_by_data(program_.steps[result_.end])) return status;
      result_.open = status;
      return std::move(result_);
    }
    FXQ_RETURN_IF_ERROR(check_guards());
    FXQ_RETURN_IF_ERROR(check_outputs(program_, result_.descs));
    return std::move(result_);
  }

 private:
  void set_constants() {
    for (size_t id = 0; id < program_.values.size(); ++id) {
      const Value& value = program_.values[id];
      if (value.constant.empty()) continue;
      const HostTensor& tensor = program_.constants.at(value.constant);
      result_.descs[id] = tensor_desc(tensor.dtype(), tensor.dims());
      result_.descs[id].constant = &tensor;
    }
  }

  // Its inputs' shapes, or numbers that it needs, may come out otherwise once data is there.
  bool is_by_data(const Step& step) const {
    for (ValueId id : step.inputs) {
      if (id != kNoValue && by_data_[id]) return true;
    }
    return std::any_of(step.computed.begin(), step.computed.end(),
                       [&](const auto& entry) { return by_data_[entry.second]; });
  }

  absl::StatusOr<std::vector<Desc>> infer(int index, const Step& step, Descs inputs) const {
    const Kernel* kernel = kernels_.kernels[index];
    if (kernel != nullptr) {
      FXQ_RETURN_IF_ERROR(check_constants(step, *kernel, inputs));
      return kernel->infer(step, inputs);
    }
    const auto seen = known_.find(index);
    absl::StatusOr<std::vector<Desc>> outputs = kernels_.provider->infer(step, inputs);
    if (seen != known_.end()) {
      for (size_t i = 0; outputs.ok() && i < outputs->size() && i < seen->second.size(); ++i) {
        if ((*outputs)[i].kind == ValueKind::kTensor) (*outputs)[i].dims = seen->second[i];
      }
    }
    if (outputs.ok() || !reads_data(inputs)) return outputs;
    std::vector<Desc> results =
        known_results(program_, step, seen == known_.end() ? nullptr : &seen->second);
    if (results.empty()) return outputs;
    return results;
  }

  absl::Status infer_step(int index) {
    std::vector<Desc>& descs = result_.descs;
    const CompleteStep complete(program_.steps[index], descs);
    const Step& step = complete;
    const std::vector<Desc> inputs = gather(step.inputs, descs);
    absl::StatusOr<std::vector<Desc>> outputs = infer(index, step, inputs);
    if (!outputs.ok()) return at_step(step, outputs.status());
    if (outputs->size() != step.outputs.size()) {
      return at_step(step,
                     absl::InvalidArgumentError(fmt::format("has {} outputs, its kernel gives {}",
                                                            step.outputs.size(), outputs->size())));
    }
    const bool by_data =
        is_by_data(step) || (kernels_.kernels[index] == nullptr && reads_data(inputs));
    for (size_t i = 0; i < outputs->size(); ++i) {
      FXQ_RETURN_IF_ERROR(check_declared(program_, step, step.outputs[i], (*outputs)[i]));
      descs[step.outputs[i]] = std::move((*outputs)[i]);
      by_data_[step.outputs[i]] = by_data;
    }
    return absl::OkStatus();
  }

  absl::Status check_guards() {
    std::vector<std::string> failed;
    bool by_data = false;
    for (const Guard& guard : program_.guards) {
      if (std::get<bool>(result_.descs[guard.condition].scalar)) continue;
      failed.push_back(guard.message);
      by_data |= by_data_[guard.condition];
    }
    if (failed.empty()) return absl::OkStatus();
    absl::Status status = absl::InvalidArgumentError(fmt::format(
        "the model does not accept these input shapes: {}", absl::StrJoin(failed, "; ")));
    if (!by_data) return status;
    result_.open = std::move(status);
    return absl::OkStatus();
  }

  const Program& program_;
  const ResolvedKernels& kernels_;
  const DataShapes& known_;
  std::vector<bool> by_data_;  // of values: their shapes, or numbers, may depend on data
  Inference result_;
};

}  // namespace

absl::StatusOr<ResolvedKernels> resolve_kernels(const Program& program,
                                                const KernelProvider* provider) {
  ResolvedKernels resolved;
  resolved.provider = provider;
  std::vector<std::string> missing;
  for (const Step& step : program.steps) {
    const Kernel* kernel = find_kernel(step.kernel, step.version);
    resolved.kernels.push_back(kernel);
    if (kernel != nullptr) continue;
    const std::string problem = missing_kernel(step, provider);
    if (!problem.empty()) {
      missing.push_back(fmt::format("step '{}': kernel {} {}", step.name, step.kernel, problem));
    }
  }
  if (missing.empty()) return resolved;
  return absl::UnimplementedError(fmt::format("{} of {} steps cannot run here: {}", missing.size(),
                                              program.steps.size(), absl::StrJoin(missing, "; ")));
}

CompleteStep::CompleteStep(const Step& step, absl::Span<const Desc> descs) : step_(step) {
  if (step.computed.empty()) return;
  copy_ = step;
  for (const auto& [name, id] : step.computed) {
    if (const auto* ints = std::get_if<std::vector<int64_t>>(&descs[id].scalar)) {
      copy_->attrs[name] = *ints;
    } else if (const auto* integer = std::get_if<int64_t>(&descs[id].scalar)) {
      copy_->attrs[name] = *integer;
    }
  }
}

std::vector<Desc> gather(absl::Span<const ValueId> ids, absl::Span<const Desc> descs) {
  std::vector<Desc> result;
  result.reserve(ids.size());
  for (ValueId id : ids) {
    if (id != kNoValue) {
      result.push_back(descs[id]);
    } else {
      result.emplace_back();
      result.back().absent = true;
    }
  }
  return result;
}

absl::StatusOr<Inference> infer_program(const Program& program, const ResolvedKernels& kernels,
                                        absl::Span<const std::vector<int64_t>> shapes,
                                        const DataShapes& known) {
  return Inferrer(program, kernels, known).run(shapes);
}

}  // namespace fxq
