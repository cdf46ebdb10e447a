// infer runs the operator once on zeros of the right shapes; a bound step wraps its buffers as
// tensors, runs the operator and copies the results out.
#include "fxq/runtime/lower/aten_kernels.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/full.h>
#include <ATen/ops/scalar_tensor.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/ir/ir.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <map>
#include <mutex>

#include "fxq/base/status.h"
#include "fxq/graph/tensor_convert.h"
#include "fxq/runtime/data_shapes.h"
#include "fxq/runtime/lower/aten_call.h"
#include "fxq/runtime/lower/script_bytes.h"

namespace fxq {
namespace {

using Values = std::vector<c10::IValue>;
using Runner = std::function<absl::StatusOr<Values>(const Values&)>;

c10::IValue scalar_value(const Scalar& scalar) {
  return std::visit([](const auto& value) { return c10::IValue(value); }, scalar);
}

c10::TensorOptions options_of(DType dtype) {
  return c10::TensorOptions().dtype(static_cast<c10::ScalarType>(scalar_type_number(dtype)));
}

// Input `i` for a run: a register, a constant, or the tensor that `tensor` makes.
template <typename MakeTensor>
Values gather(Descs inputs, const MakeTensor& tensor) {
  Values values;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Desc& input = inputs[i];
    if (input.absent) {
      values.emplace_back();
    } else if (input.kind != ValueKind::kTensor) {
      values.push_back(scalar_value(input.scalar));
    } else if (input.constant) {
      values.emplace_back(to_at_tensor(*input.constant));
    } else {
      values.emplace_back(tensor(i));
    }
  }
  return values;
}

// None, or a result that the operator left out (attention weights that nobody asked for).
bool is_nothing(const c10::IValue& value) {
  return value.isNone() || (value.isTensor() && !value.toTensor().defined());
}

absl::Status refuse_nested() {
  return absl::UnimplementedError(
      "its result is a nested tensor, which programs do not hold: make the model without them "
      "(nn.TransformerEncoder(..., enable_nested_tensor=False))");
}

absl::StatusOr<Desc> desc_of(const c10::IValue& value) {
  if (is_nothing(value)) {
    Desc nothing;
    nothing.absent = true;
    return nothing;
  }
  if (value.isTensor() && value.toTensor().is_nested()) return refuse_nested();
  if (value.isTensor()) {
    const auto dtype = dtype_of(value.toTensor());
    if (!dtype) return absl::UnimplementedError("a result has a dtype that programs do not know");
    return tensor_desc(*dtype, value.toTensor().sizes().vec());
  }
  if (value.isInt()) return scalar_desc(value.toInt());
  if (value.isDouble()) return scalar_desc(value.toDouble());
  if (value.isBool()) return scalar_desc(value.toBool());
  if (value.isIntList()) return scalar_desc(value.toIntVector());
  return absl::UnimplementedError("a result is " + value.tagKind() + ", no tensor or number");
}

// A number as a 0-d tensor of TorchScript's own width.
at::Tensor number_tensor(const c10::IValue& number) {
  const auto dtype = number.isInt() ? at::kLong : number.isDouble() ? at::kDouble : at::kBool;
  return at::scalar_tensor(number.toScalar(), dtype);
}

// What ATen throws becomes a Status, without its C++ backtrace.
template <typename Run>
absl::Status status_of(const Run& run) {
  try {
    return run();
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(message_without_backtrace(error));
  }
}

// A loop that runs while a condition holds: on made-up numbers it may never end.
bool loops_while(const torch::jit::Block* block) {
  for (const torch::jit::Node* node : block->nodes()) {
    if (node->kind() == torch::jit::prim::Loop) {
      const auto most_trips = torch::jit::constant_as<int64_t>(node->inputs()[0]);
      if (most_trips == std::numeric_limits<int64_t>::max()) return true;
    }
    for (const torch::jit::Block* inner : node->blocks()) {
      if (loops_while(inner)) return true;
    }
  }
  return false;
}

bool loops_while(const torch::jit::Module& module) {
  for (const torch::jit::Module& part : module.modules()) {
    for (const torch::jit::Method& method : part.get_methods()) {
      if (loops_while(method.graph()->block())) return true;
    }
  }
  return false;
}

// Its answer depends on dtypes and shapes alone, whatever the data: the op table says which.
bool is_shape_question(const Step& step) {
  const auto* schema = std::get_if<std::string>(&step.attrs.at("schema"));
  return schema && op_def(op_from_overload(*schema)).rule == Rule::kNotTensor;
}

class AtenStep : public BoundStep {
 public:
  AtenStep(Runner run, const Step& step, Descs inputs, Descs outputs)
      : run_(std::move(run)),
        inputs_(inputs.begin(), inputs.end()),
        outputs_(outputs.begin(), outputs.end()) {
    for (ValueId id : step.outputs) is_used_.push_back(id != kNoValue);
  }

  int slices(int) const override { return 1; }
  std::string implementation() const override { return "aten"; }

  absl::Status run_slice(int, int, const StepBuffers& buffers) const override {
    return status_of([&] { return run(buffers); });
  }

 private:
  absl::Status run(const StepBuffers& buffers) const {
    c10::InferenceMode inference;
    const Values inputs = gather(inputs_, [&](size_t i) {
      auto* bytes = const_cast<std::byte*>(buffers.inputs[i]);
      return at::from_blob(bytes, inputs_[i].dims, options_of(inputs_[i].dtype));
    });
    FXQ_ASSIGN_OR_RETURN(const Values results, run_(inputs));
    std::vector<at::Tensor> tensors(outputs_.size());
    for (size_t i = 0; i < outputs_.size(); ++i) {
      if (outputs_[i].kind != ValueKind::kTensor || !is_used_[i]) continue;
      const bool is_none = is_nothing(results.at(i));
      if (is_none != outputs_[i].absent) {
        return absl::UnimplementedError(fmt::format(
            "its result {} is {}; a program needs to know beforehand", i,
            is_none ? "None for this data" : "None for zeros and a tensor for this data"));
      }
      if (is_none) continue;
      FXQ_ASSIGN_OR_RETURN(tensors[i], result_tensor(results[i]));
    }
    FXQ_RETURN_IF_ERROR(check_shapes(tensors));
    for (size_t i = 0; i < outputs_.size(); ++i) {
      std::byte* target = buffers.outputs[i];
      if (tensors[i].defined() && target != nullptr) {
        std::memcpy(target, tensors[i].data_ptr(), tensors[i].nbytes());
      }
    }
    return absl::OkStatus();
  }

  static absl::StatusOr<at::Tensor> result_tensor(const c10::IValue& value) {
    if (value.isScalar()) return number_tensor(value);
    if (value.isTensor() && value.toTensor().is_nested()) return refuse_nested();
    if (value.isTensor()) return value.toTensor().contiguous();
    return absl::UnimplementedError("its result is " + value.tagKind() +
                                    " for this data; a program needs a tensor beforehand");
  }

  absl::Status check_shapes(const std::vector<at::Tensor>& tensors) const {
    ResultShapes shapes;
    bool differ = false;
    for (size_t i = 0; i < tensors.size(); ++i) {
      shapes.push_back(tensors[i].defined() ? tensors[i].sizes().vec() : outputs_[i].dims);
      differ = differ || shapes.back() != outputs_[i].dims;
    }
    return differ ? results_have_shapes(shapes) : absl::OkStatus();
  }

  Runner run_;
  std::vector<Desc> inputs_;
  std::vector<Desc> outputs_;
  std::vector<bool> is_used_;
};

class AtenProvider : public KernelProvider {
 public:
  explicit AtenProvider(AtenOptions options) : options_(options) {}

  absl::Status supports(const Step& step) const override {
    FXQ_ASSIGN_OR_RETURN(const AtenCall call, AtenCall::parse(step));
    if (!call.is_torchscript() || options_.allow_torchscript) return absl::OkStatus();
    return absl::FailedPreconditionError(
        "is embedded TorchScript, which is code: allow it (--allow-torchscript) if you trust it");
  }

  absl::StatusOr<std::vector<Desc>> infer(const Step& step, Descs inputs) const override {
    std::vector<Desc> outputs;
    FXQ_RETURN_IF_ERROR(status_of([&]() -> absl::Status {
      FXQ_ASSIGN_OR_RETURN(outputs, infer_unguarded(step, inputs));
      return absl::OkStatus();
    }));
    return outputs;
  }

  absl::StatusOr<std::unique_ptr<BoundStep>> bind(const Step& step, Descs inputs, Descs outputs,
                                                  BindContext&) const override {
    FXQ_ASSIGN_OR_RETURN(Runner run, runner(step, inputs));
    return std::unique_ptr<BoundStep>(new AtenStep(std::move(run), step, inputs, outputs));
  }

 private:
  absl::StatusOr<std::vector<Desc>> infer_unguarded(const Step& step, Descs inputs) const {
    c10::InferenceMode inference;
    FXQ_ASSIGN_OR_RETURN(const AtenCall call, AtenCall::parse(step));
    if (call.reads_packed_sequence()) {
      return absl::UnimplementedError("what it gives is known for real lengths only");
    }
    if (call.is_torchscript()) {
      FXQ_ASSIGN_OR_RETURN(const Script* code, script(inputs));
      if (code->loops_while) {
        return absl::UnimplementedError("how long its loop runs is known for real data only");
      }
    }
    FXQ_ASSIGN_OR_RETURN(const Runner run, runner(step, inputs));
    FXQ_ASSIGN_OR_RETURN(const Values results, run_on_numbers(run, inputs));
    if (results.size() < step.outputs.size()) {
      return absl::InvalidArgumentError(
          fmt::format("gives {} results, {} are used", results.size(), step.outputs.size()));
    }
    std::vector<Desc> descs;
    const bool reads_data = std::any_of(inputs.begin(), inputs.end(), [](const Desc& input) {
      return input.kind == ValueKind::kTensor && !input.constant && !input.absent;
    });
    const bool only_shape = is_shape_question(step);
    for (size_t i = 0; i < step.outputs.size(); ++i) {
      const bool number = results[i].isScalar() && reads_data && !only_shape;
      const c10::IValue stored = number ? c10::IValue(number_tensor(results[i])) : results[i];
      FXQ_ASSIGN_OR_RETURN(Desc desc, desc_of(stored));
      descs.push_back(std::move(desc));
    }
    return descs;
  }

  // Zeros are indices of anything; lengths are one at least.
  static absl::StatusOr<Values> run_on_numbers(const Runner& run, Descs inputs) {
    const auto filled = [&](int64_t number) {
      return gather(inputs, [&](size_t i) {
        return at::full(inputs[i].dims, number, options_of(inputs[i].dtype));
      });
    };
    try {
      return run(filled(0));
    } catch (const std::exception& error) {
      try {
        return run(filled(1));
      } catch (const std::exception&) {
        return absl::InvalidArgumentError(message_without_backtrace(error));
      }
    }
  }

  absl::StatusOr<Runner> runner(const Step& step, Descs inputs) const {
    FXQ_ASSIGN_OR_RETURN(AtenCall call, AtenCall::parse(step));
    if (!call.is_torchscript()) {
      return Runner([call](const Values& values) { return call.run(values); });
    }
    FXQ_ASSIGN_OR_RETURN(const Script* code, script(inputs));
    auto method = [module = code->module](Values values) {
      torch::jit::Module copy = module;
      return copy.forward(std::move(values));
    };
    return Runner([call, module = code->module, method](const Values& values) {
      const c10::FunctionSchema& schema = module.get_method("forward").function().getSchema();
      return call.run_method(values, schema, method);
    });
  }

  // Holds its bytes, so that their address names no other script later.
  struct Script {
    HostTensor bytes;
    torch::jit::Module module;
    bool loops_while;
  };

  // Lives as long as the provider.
  absl::StatusOr<const Script*> script(Descs inputs) const {
    if (inputs.empty() || !inputs[0].constant) {
      return absl::InvalidArgumentError("its TorchScript is missing");
    }
    const HostTensor& bytes = *inputs[0].constant;
    std::lock_guard<std::mutex> lock(mutex_);
    auto it = scripts_.find(bytes.bytes());
    if (it != scripts_.end()) return &it->second;
    FXQ_ASSIGN_OR_RETURN(torch::jit::Module module, script_from_bytes(bytes));
    const bool loops = loops_while(module);
    return &scripts_.emplace(bytes.bytes(), Script{bytes, std::move(module), loops}).first->second;
  }

  AtenOptions options_;
  mutable std::mutex mutex_;
  mutable std::map<const void*, Script> scripts_;
};

}  // namespace

std::shared_ptr<const KernelProvider> aten_kernels(const AtenOptions& options) {
  return std::make_shared<AtenProvider>(options);
}

}  // namespace fxq
