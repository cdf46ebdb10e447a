// A run: find the signature of the inputs' shapes (or bind it), take a free context of it (or make
// one), run, give the context back.
#include "fxq/runtime/executor.h"

#include <algorithm>
#include <chrono>
#include <list>
#include <mutex>

#include "absl/strings/str_join.h"
#include "fmt/format.h"
#include "fmt/ranges.h"
#include "fxq/base/safetensors.h"
#include "fxq/base/status.h"
#include "fxq/runtime/packed_cache.h"
#include "fxq/runtime/run_context.h"
#include "fxq/runtime/signature.h"
#include "fxq/runtime/thread_pool.h"

namespace fxq {
namespace {

// A bound signature and its contexts that are not in use.
struct Entry {
  std::unique_ptr<Signature> signature;
  std::mutex mutex;
  std::vector<std::unique_ptr<RunContext>> idle;
};

// One run of a signature: what it holds until its context is given back.
struct Trial {
  std::shared_ptr<Entry> entry;
  std::unique_ptr<RunContext> context;
  std::vector<HostTensor> outputs;
  absl::Status status;
};

void give_back(Trial trial) {
  std::lock_guard<std::mutex> lock(trial.entry->mutex);
  trial.entry->idle.push_back(std::move(trial.context));
}

HostTensor output_tensor(const Desc& desc) {
  switch (desc.kind) {
    case ValueKind::kTensor:
      return HostTensor(desc.dtype, desc.dims);
    case ValueKind::kFloat:
      return HostTensor(DType::kF64, {});
    case ValueKind::kBool:
      return HostTensor(DType::kBool, {});
    case ValueKind::kInt:
      return HostTensor(DType::kI64, {});
    case ValueKind::kInts:
      break;
  }
  const auto& list = std::get<std::vector<int64_t>>(desc.scalar);
  return HostTensor(DType::kI64, {static_cast<int64_t>(list.size())});
}

absl::StatusOr<std::vector<HostTensor>> output_tensors(const Signature& signature) {
  try {
    std::vector<HostTensor> outputs;
    outputs.reserve(signature.outputs.size());
    for (ValueId id : signature.outputs) outputs.push_back(output_tensor(signature.descs[id]));
    return outputs;
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("there is not enough memory for the outputs");
  }
}

class TapObserver final : public StepObserver {
 public:
  // What steps before `first` gave was shown already.
  TapObserver(const Program& program, const Signature& signature, const RunContext& context,
              const Executor::Tap& tap, int first)
      : program_(program), signature_(signature), context_(context), tap_(tap), next_step_(first) {}

  void before(int call) override { show_skipped(signature_.calls[call].step); }
  void after(int call) override {
    show(signature_.calls[call].outputs);
    next_step_ = signature_.calls[call].step + 1;
  }
  void finish() { show_skipped(static_cast<int>(program_.steps.size())); }

 private:
  // Aliases and empty tensors have no call of their own.
  void show_skipped(int end) {
    for (; next_step_ < end; ++next_step_) show(program_.steps[next_step_].outputs);
  }

  void show(const std::vector<ValueId>& values) {
    for (ValueId id : values) {
      if (signature_.descs[id].kind != ValueKind::kTensor) continue;
      tap_(program_.values[id], context_.plain_copy(id));
    }
  }

  const Program& program_;
  const Signature& signature_;
  const RunContext& context_;
  const Executor::Tap& tap_;
  int next_step_;
};

class TimeObserver final : public StepObserver {
 public:
  explicit TimeObserver(size_t calls) : seconds(calls, kNotRun) {}
  void before(int) override { start_ = std::chrono::steady_clock::now(); }
  void after(int call) override {
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start_;
    seconds[call] = time.count();
  }

  static constexpr double kNotRun = -1;
  std::vector<double> seconds;

 private:
  std::chrono::steady_clock::time_point start_;
};

}  // namespace

struct Executor::State {
  State(Program program_in, const ExecutorOptions& options_in)
      : program(std::move(program_in)), options(options_in), pool(options_in.threads) {}

  const Program program;
  const ExecutorOptions options;
  ResolvedKernels kernels;
  ExecutorPackedCache packed;
  ThreadPool pool;

  std::mutex binding;                         // one signature is bound at a time
  mutable std::mutex mutex;                   // of what follows
  std::list<std::shared_ptr<Entry>> entries;  // most recently used first
  std::vector<StepProfile> profile;           // of every step

  template <typename IsWanted>
  std::shared_ptr<Entry> find(const IsWanted& is_wanted) {
    std::lock_guard<std::mutex> lock(mutex);
    for (auto it = entries.begin(); it != entries.end(); ++it) {
      if (!is_wanted(*(*it)->signature)) continue;
      entries.splice(entries.begin(), entries, it);
      return entries.front();
    }
    return nullptr;
  }

  absl::StatusOr<std::shared_ptr<Entry>> bind(absl::Span<const std::vector<int64_t>> shapes,
                                              const DataShapes& known);
  absl::StatusOr<std::shared_ptr<Entry>> bound_for(absl::Span<const HostTensor> inputs);
  absl::Status check_inputs(absl::Span<const HostTensor> inputs) const;
  absl::StatusOr<std::unique_ptr<RunContext>> take_context(Entry& entry) const;
  absl::StatusOr<std::vector<HostTensor>> run(absl::Span<const HostTensor> inputs, const Tap* tap);
  absl::StatusOr<Trial> try_run(std::shared_ptr<Entry> entry, absl::Span<const HostTensor> inputs,
                                const Tap* tap, const Trial& former);
  absl::Status run_observed(const Trial& trial, absl::Span<const HostTensor> inputs,
                            absl::Span<HostTensor> outputs, const Tap* tap, const Trial& former);
  void add_times(const Signature& signature, const std::vector<double>& seconds);
};

absl::StatusOr<std::shared_ptr<Entry>> Executor::State::bind(
    absl::Span<const std::vector<int64_t>> shapes, const DataShapes& known) {
  const auto same = [&](const Signature& bound) {
    return absl::MakeConstSpan(bound.shapes) == shapes && bound.data_shapes == known;
  };
  if (std::shared_ptr<Entry> entry = find(same)) return entry;
  std::lock_guard<std::mutex> binding_lock(binding);
  if (std::shared_ptr<Entry> entry = find(same)) return entry;
  auto entry = std::make_shared<Entry>();
  FXQ_ASSIGN_OR_RETURN(entry->signature,
                       bind_signature(program, kernels, shapes, known, pool.threads(), &packed));
  std::lock_guard<std::mutex> lock(mutex);
  entries.push_front(entry);
  // A run that still uses a dropped signature keeps it alive.
  while (static_cast<int>(entries.size()) > options.max_signatures) entries.pop_back();
  return entry;
}

absl::StatusOr<std::shared_ptr<Entry>> Executor::State::bound_for(
    absl::Span<const HostTensor> inputs) {
  FXQ_RETURN_IF_ERROR(check_inputs(inputs));
  std::shared_ptr<Entry> entry = find([&](const Signature& bound) {
    for (size_t i = 0; i < bound.shapes.size(); ++i) {
      if (bound.shapes[i] != inputs[i].dims()) return false;
    }
    return true;
  });
  if (entry != nullptr) return entry;
  std::vector<std::vector<int64_t>> shapes;
  for (const HostTensor& input : inputs) shapes.push_back(input.dims());
  return bind(shapes, {});
}

absl::Status Executor::State::check_inputs(absl::Span<const HostTensor> inputs) const {
  if (inputs.size() != program.inputs.size()) {
    std::vector<std::string> names;
    for (ValueId id : program.inputs) names.push_back(program.values[id].name);
    return absl::InvalidArgumentError(fmt::format("got {} inputs, the program needs {}: {}",
                                                  inputs.size(), names.size(),
                                                  absl::StrJoin(names, ", ")));
  }
  std::vector<std::string> problems;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Value& value = program.values[program.inputs[i]];
    const bool wrong_rank = value.rank && *value.rank != static_cast<int>(inputs[i].dims().size());
    if (inputs[i].dtype() == value.dtype && !wrong_rank) continue;
    problems.push_back(fmt::format(
        "input '{}': got {}, need {}{}", value.name, inputs[i].describe(), dtype_name(value.dtype),
        value.rank ? fmt::format(" with {} dimensions", *value.rank) : ""));
  }
  if (problems.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(problems, "; "));
}

absl::StatusOr<std::unique_ptr<RunContext>> Executor::State::take_context(Entry& entry) const {
  {
    std::lock_guard<std::mutex> lock(entry.mutex);
    if (!entry.idle.empty()) {
      std::unique_ptr<RunContext> context = std::move(entry.idle.back());
      entry.idle.pop_back();
      return context;
    }
  }
  try {
    return std::make_unique<RunContext>(*entry.signature, program, pool.threads());
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(
        fmt::format("there is not enough memory: an arena of {} bytes is needed",
                    entry.signature->arena_bytes));
  }
}

void Executor::State::add_times(const Signature& signature, const std::vector<double>& seconds) {
  std::lock_guard<std::mutex> lock(mutex);
  for (size_t i = 0; i < seconds.size(); ++i) {
    if (seconds[i] == TimeObserver::kNotRun) continue;
    StepProfile& step = profile[signature.calls[i].step];
    step.implementation = signature.calls[i].implementation;
    step.min_seconds = step.calls == 0 ? seconds[i] : std::min(step.min_seconds, seconds[i]);
    step.calls += 1;
    step.seconds += seconds[i];
  }
}

absl::Status Executor::State::run_observed(const Trial& trial, absl::Span<const HostTensor> inputs,
                                           absl::Span<HostTensor> outputs, const Tap* tap,
                                           const Trial& former) {
  RunContext& context = *trial.context;
  const Signature& signature = *trial.entry->signature;
  const RunContext* begun = former.context.get();
  if (tap != nullptr) {
    TapObserver observer(program, signature, context, *tap, begun ? begun->stopped_at() : 0);
    FXQ_RETURN_IF_ERROR(context.run(inputs, outputs, pool, &observer, begun));
    if (signature.open.ok()) observer.finish();
    return absl::OkStatus();
  }
  if (!options.profile) return context.run(inputs, outputs, pool, nullptr, begun);
  TimeObserver observer(signature.calls.size());
  const absl::Status status = context.run(inputs, outputs, pool, &observer, begun);
  add_times(signature, observer.seconds);
  return status;
}

absl::StatusOr<Trial> Executor::State::try_run(std::shared_ptr<Entry> entry,
                                               absl::Span<const HostTensor> inputs, const Tap* tap,
                                               const Trial& former) {
  Trial trial;
  trial.entry = std::move(entry);
  const Signature& signature = *trial.entry->signature;
  FXQ_ASSIGN_OR_RETURN(trial.outputs, output_tensors(signature));
  FXQ_ASSIGN_OR_RETURN(trial.context, take_context(*trial.entry));
  trial.status = run_observed(trial, inputs, absl::MakeSpan(trial.outputs), tap, former);
  if (trial.status.ok()) trial.status = signature.open;
  return trial;
}

// Runs as bound last for such inputs; where data decides otherwise, binds what it said and goes on.
absl::StatusOr<std::vector<HostTensor>> Executor::State::run(absl::Span<const HostTensor> inputs,
                                                             const Tap* tap) {
  FXQ_ASSIGN_OR_RETURN(std::shared_ptr<Entry> entry, bound_for(inputs));
  Trial former;
  const size_t most = 2 * program.steps.size() + 2;  // each trial gets past one step at least
  for (size_t count = 0;; ++count) {
    FXQ_ASSIGN_OR_RETURN(Trial trial, try_run(entry, inputs, tap, former));
    if (former.entry) give_back(std::move(former));
    const auto shapes = shapes_of_results(trial.status);
    if (!shapes || count == most) {
      const absl::Status status = trial.status;
      std::vector<HostTensor> outputs = std::move(trial.outputs);
      give_back(std::move(trial));
      if (!status.ok()) return status;
      return outputs;
    }
    DataShapes known = entry->signature->data_shapes;
    known[trial.context->stopped_at()] = *shapes;
    const std::vector<std::vector<int64_t>> input_shapes = entry->signature->shapes;
    former = std::move(trial);
    FXQ_ASSIGN_OR_RETURN(entry, bind(input_shapes, known));
  }
}

absl::StatusOr<std::unique_ptr<Executor>> Executor::create(Program program,
                                                           ExecutorOptions options) {
  constexpr int kMaxThreads = 1024;
  if (options.threads < 1 || options.threads > kMaxThreads || options.max_signatures < 1) {
    return absl::InvalidArgumentError(
        fmt::format("threads must be in [1, {}] and max_signatures at least 1, got {} and {}",
                    kMaxThreads, options.threads, options.max_signatures));
  }
  FXQ_RETURN_IF_ERROR(program.verify());
  FXQ_ASSIGN_OR_RETURN(ResolvedKernels kernels, resolve_kernels(program, options.provider.get()));
  auto state = std::make_unique<State>(std::move(program), options);
  state->kernels = std::move(kernels);
  for (const Step& step : state->program.steps) {
    state->profile.push_back({step.name, step.kernel, "", 0, 0.0});
  }
  return std::unique_ptr<Executor>(new Executor(std::move(state)));
}

Executor::Executor(std::unique_ptr<State> state) : state_(std::move(state)) {}
Executor::~Executor() = default;

const Program& Executor::program() const { return state_->program; }
int Executor::threads() const { return state_->pool.threads(); }

absl::Status Executor::prepare(absl::Span<const std::vector<int64_t>> shapes) {
  return state_->bind(shapes, {}).status();
}

absl::StatusOr<SignatureInfo> Executor::describe(absl::Span<const std::vector<int64_t>> shapes) {
  FXQ_ASSIGN_OR_RETURN(const std::shared_ptr<Entry> entry, state_->bind(shapes, {}));
  SignatureInfo info;
  info.arena_bytes = entry->signature->arena_bytes;
  info.unshared_bytes = entry->signature->unshared_bytes;
  info.packed_bytes = state_->packed.bytes();
  for (const BoundCall& call : entry->signature->calls) {
    const Step& step = state_->program.steps[call.step];
    info.steps.push_back({step.name, step.kernel, call.implementation, 0, 0.0});
  }
  return info;
}

absl::StatusOr<std::vector<HostTensor>> Executor::run(absl::Span<const HostTensor> inputs) {
  return state_->run(inputs, nullptr);
}

absl::StatusOr<std::vector<HostTensor>> Executor::run_tapped(absl::Span<const HostTensor> inputs,
                                                             const Tap& tap) {
  return state_->run(inputs, &tap);
}

std::vector<StepProfile> Executor::profile() const {
  if (!state_->options.profile) return {};
  std::lock_guard<std::mutex> lock(state_->mutex);
  return state_->profile;
}

int Executor::bound_signatures() const {
  std::lock_guard<std::mutex> lock(state_->mutex);
  return static_cast<int>(state_->entries.size());
}

absl::StatusOr<std::unique_ptr<Executor>> load_program(const std::string& path,
                                                       ExecutorOptions options) {
  FXQ_ASSIGN_OR_RETURN(const Artifact artifact, load_artifact(path));
  absl::StatusOr<Program> program = Program::from_artifact(artifact);
  if (!program.ok()) {
    return absl::Status(program.status().code(),
                        fmt::format("{}: {}", path, message_of(program.status())));
  }
  return Executor::create(*std::move(program), std::move(options));
}

}  // namespace fxq
