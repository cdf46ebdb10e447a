// run: take an idle call or make one; set its pointers; execute; give it back.
#include "fxq/runtime/kernels/onednn_call.h"

#include "fmt/format.h"

// omp.h belongs to one compiler; these two are what every OpenMP library exports.
extern "C" {
int omp_get_max_threads();
void omp_set_num_threads(int);
}

namespace fxq::onednn {

const dnnl::engine& cpu_engine() {
  static const dnnl::engine* const engine = new dnnl::engine(dnnl::engine::kind::cpu, 0);
  return *engine;
}

OneThread::OneThread() : before_(omp_get_max_threads()) {
  if (before_ != 1) omp_set_num_threads(1);
}

OneThread::~OneThread() {
  if (before_ != 1) omp_set_num_threads(before_);
}

CallPool::CallPool(dnnl::primitive primitive, std::vector<Argument> arguments)
    : primitive_(std::move(primitive)), arguments_(std::move(arguments)) {
  idle_.push_back(make());
}

std::unique_ptr<CallPool::Call> CallPool::make() const {
  auto call = std::make_unique<Call>();
  call->stream = dnnl::stream(cpu_engine());
  for (const auto& [index, desc] : arguments_) {
    call->memories.push_back(dnnl::memory(desc, cpu_engine(), DNNL_MEMORY_NONE));
    call->arguments.push_back({index, call->memories.back().get()});
  }
  return call;
}

absl::Status CallPool::run(absl::Span<void* const> pointers) const try {
  std::unique_ptr<Call> call;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!idle_.empty()) {
      call = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  if (call == nullptr) call = make();
  for (size_t i = 0; i < pointers.size(); ++i) {
    dnnl_memory_set_data_handle(call->memories[i].get(), pointers[i]);
  }
  const OneThread one_thread;
  const dnnl_status_t status =
      dnnl_primitive_execute(primitive_.get(), call->stream.get(),
                             static_cast<int>(call->arguments.size()), call->arguments.data());
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    idle_.push_back(std::move(call));
  }
  if (status == dnnl_success) return absl::OkStatus();
  return absl::InternalError(
      fmt::format("oneDNN could not run a kernel: status {}", static_cast<int>(status)));
} catch (const dnnl::error& error) {
  return absl::InternalError(fmt::format("oneDNN could not run a kernel: {}", error.what()));
}

}  // namespace fxq::onednn
