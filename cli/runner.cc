// Three ways to the same interface: Executor (.fxq), Interpreter (.pt), Module::forward (.pt,
// eager).
#include "fxq/cli/runner.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/jit/api/module.h>

#include "fxq/base/status.h"
#include "fxq/cli/feed.h"
#include "fxq/cli/float_model.h"
#include "fxq/cli/model_file.h"
#include "fxq/tracer/trace.h"

namespace fxq {
namespace {

class ProgramRunner : public Runner {
 public:
  ProgramRunner(std::unique_ptr<Executor> executor, std::string preprocess)
      : executor_(std::move(executor)), preprocess_(std::move(preprocess)) {}

  std::vector<std::string> input_names() const override {
    std::vector<std::string> names;
    const Program& program = executor_->program();
    for (ValueId id : program.inputs) names.push_back(program.values[static_cast<size_t>(id)].name);
    return names;
  }
  absl::StatusOr<std::vector<HostTensor>> run(const std::vector<NamedTensor>& inputs) override {
    return executor_->run(to_host_tensors(inputs));
  }
  std::string preprocess() const override { return preprocess_; }

 private:
  std::unique_ptr<Executor> executor_;
  std::string preprocess_;
};

class GraphRunner : public Runner {
 public:
  explicit GraphRunner(GraphModule gm) : gm_(std::move(gm)) {}
  std::vector<std::string> input_names() const override { return fxq::input_names(gm_); }
  absl::StatusOr<std::vector<HostTensor>> run(const std::vector<NamedTensor>& inputs) override {
    c10::InferenceMode inference;
    FXQ_ASSIGN_OR_RETURN(const c10::IValue result, gm_.forward(to_values(inputs)));
    texts_.clear();
    return to_host_tensors(result, &texts_);
  }

 private:
  GraphModule gm_;
};

// Captures anew for the first inputs if capture needs an example.
class LazyGraphRunner : public Runner {
 public:
  LazyGraphRunner(std::string path, std::vector<std::string> names)
      : path_(std::move(path)), names_(std::move(names)) {}
  std::vector<std::string> input_names() const override { return names_; }
  absl::StatusOr<std::vector<HostTensor>> run(const std::vector<NamedTensor>& inputs) override {
    if (!graph_) {
      FXQ_ASSIGN_OR_RETURN(GraphModule gm, load_float_graph({path_, {}}, to_values(inputs)));
      graph_ = std::make_unique<GraphRunner>(std::move(gm));
    }
    auto outputs = graph_->run(inputs);
    texts_ = graph_->texts();
    return outputs;
  }

 private:
  std::string path_;
  std::vector<std::string> names_;
  std::unique_ptr<GraphRunner> graph_;
};

class ScriptRunner : public Runner {
 public:
  explicit ScriptRunner(torch::jit::Module module) : module_(std::move(module)) { module_.eval(); }
  std::vector<std::string> input_names() const override { return script_input_names(module_); }
  absl::StatusOr<std::vector<HostTensor>> run(const std::vector<NamedTensor>& inputs) override {
    c10::InferenceMode inference;
    try {
      texts_.clear();
      return to_host_tensors(module_.forward(to_values(inputs)), &texts_);
    } catch (const std::exception& error) {
      return absl::InvalidArgumentError(error.what());
    }
  }

 private:
  torch::jit::Module module_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Runner>> Runner::create(const RunnerRequest& request) {
  at::set_num_threads(request.threads);
  FXQ_ASSIGN_OR_RETURN(const ModelKind kind, model_kind(request.model));
  if (kind == ModelKind::kFxq) {
    if (request.eager) {
      return absl::InvalidArgumentError("--eager runs a .pt; this is a .fxq: " + request.model);
    }
    FXQ_ASSIGN_OR_RETURN(Provenance provenance, load_provenance(request.model));
    FXQ_ASSIGN_OR_RETURN(
        std::unique_ptr<Executor> executor,
        load_executor(request.model, {request.threads, false, request.allow_torchscript}));
    return std::unique_ptr<Runner>(
        new ProgramRunner(std::move(executor), std::move(provenance.preprocess)));
  }
  FXQ_ASSIGN_OR_RETURN(torch::jit::Module module, load_script_module(request.model));
  if (request.eager) return std::unique_ptr<Runner>(new ScriptRunner(std::move(module)));
  auto gm = load_float_graph({request.model, {}});
  if (gm.ok()) return std::unique_ptr<Runner>(new GraphRunner(*std::move(gm)));
  return std::unique_ptr<Runner>(new LazyGraphRunner(request.model, script_input_names(module)));
}

}  // namespace fxq
