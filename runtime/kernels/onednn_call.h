// What one execution of a oneDNN primitive needs besides the primitive: a stream and memory objects
// whose pointers are set for the call. A CallPool lends them, so that many threads can run one
// primitive at once and steady state allocates nothing. Internal to the onednn_* files.
#pragma once

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "dnnl.hpp"

namespace fxq::onednn {

const dnnl::engine& cpu_engine();

// Makes oneDNN use the calling thread only, as long as it lives: our pool does the threading.
class OneThread {
 public:
  OneThread();
  ~OneThread();
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

// An argument's oneDNN index and description.
using Argument = std::pair<int, dnnl::memory::desc>;

class CallPool {
 public:
  CallPool(dnnl::primitive primitive, std::vector<Argument> arguments);

  // One pointer an argument, in order.
  absl::Status run(absl::Span<void* const> pointers) const;

 private:
  struct Call {
    dnnl::stream stream;
    std::vector<dnnl::memory> memories;
    std::vector<dnnl_exec_arg_t> arguments;
  };
  std::unique_ptr<Call> make() const;

  dnnl::primitive primitive_;
  std::vector<Argument> arguments_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Call>> idle_;
};

}  // namespace fxq::onednn
