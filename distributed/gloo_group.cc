// FileStore or TCPStore -> ProcessGroupGloo -> all_reduce and broadcast; exceptions end here.
#include "fxq/distributed/gloo_group.h"

#include <fmt/format.h>

#define USE_C10D_GLOO  // as LibTorch was built
#include <torch/csrc/distributed/c10d/FileStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "fxq/base/status.h"

namespace fxq {
namespace {

c10d::ReduceOp::RedOpType reduce_op(ProcessGroup::Reduction reduction) {
  switch (reduction) {
    case ProcessGroup::Reduction::kMin:
      return c10d::ReduceOp::MIN;
    case ProcessGroup::Reduction::kMax:
      return c10d::ReduceOp::MAX;
    case ProcessGroup::Reduction::kSum:
      break;
  }
  return c10d::ReduceOp::SUM;
}

template <typename Function>
absl::Status run(const char* what, const Function& function) {
  try {
    function();
  } catch (const std::exception& error) {
    const std::string message = error.what();
    return absl::UnavailableError(
        fmt::format("{} failed: {}", what, message.substr(0, message.find("\nException raised"))));
  }
  return absl::OkStatus();
}

class C10dGroup final : public ProcessGroup {
 public:
  explicit C10dGroup(c10::intrusive_ptr<c10d::ProcessGroup> group) : group_(std::move(group)) {}
  int rank() const override { return group_->getRank(); }
  int size() const override { return group_->getSize(); }

  absl::Status all_reduce(at::Tensor& tensor, Reduction reduction) override {
    return run("all_reduce", [&] {
      std::vector<at::Tensor> tensors{tensor.contiguous()};
      c10d::AllreduceOptions options;
      options.reduceOp = reduce_op(reduction);
      group_->allreduce(tensors, options)->wait();
      if (!tensors[0].is_same(tensor)) tensor.copy_(tensors[0]);
    });
  }

  absl::Status broadcast(at::Tensor& tensor) override {
    return run("broadcast", [&] {
      std::vector<at::Tensor> tensors{tensor.contiguous()};
      group_->broadcast(tensors)->wait();
      if (!tensors[0].is_same(tensor)) tensor.copy_(tensors[0]);
    });
  }

 private:
  c10::intrusive_ptr<c10d::ProcessGroup> group_;
};

absl::Status check(const GlooOptions& options) {
  if (options.size < 1 || options.rank < 0 || options.rank >= options.size) {
    return absl::InvalidArgumentError(
        fmt::format("make_gloo_group: rank {} of {}", options.rank, options.size));
  }
  if (options.file.empty() == options.host.empty()) {
    return absl::InvalidArgumentError("make_gloo_group wants a file, or a host and a port");
  }
  return absl::OkStatus();
}

c10::intrusive_ptr<c10d::Store> make_store(const GlooOptions& options) {
  const std::chrono::seconds timeout(options.timeout_seconds);
  c10::intrusive_ptr<c10d::Store> store;
  if (!options.file.empty()) {
    store = c10::make_intrusive<c10d::FileStore>(options.file, options.size);
  } else {
    c10d::TCPStoreOptions tcp;
    tcp.port = static_cast<std::uint16_t>(options.port);
    tcp.isServer = options.rank == 0;
    tcp.numWorkers = static_cast<std::size_t>(options.size);
    tcp.timeout = timeout;
    store = c10::make_intrusive<c10d::TCPStore>(options.host, tcp);
  }
  store->setTimeout(timeout);
  return store;
}

}  // namespace

absl::StatusOr<std::shared_ptr<ProcessGroup>> make_gloo_group(const GlooOptions& options) {
  FXQ_RETURN_IF_ERROR(check(options));
  c10::intrusive_ptr<c10d::ProcessGroup> group;
  FXQ_RETURN_IF_ERROR(run("make_gloo_group", [&] {
    const auto gloo = c10d::ProcessGroupGloo::Options::create();
    gloo->timeout = std::chrono::seconds(options.timeout_seconds);
    // One machine needs no name service; several go by the host's own name.
    gloo->devices = {options.host.empty()
                         ? c10d::ProcessGroupGloo::createDeviceForHostname("127.0.0.1")
                         : c10d::ProcessGroupGloo::createDefaultDevice()};
    group = c10::make_intrusive<c10d::ProcessGroupGloo>(make_store(options), options.rank,
                                                        options.size, gloo);
  }));
  return make_process_group(std::move(group));
}

std::shared_ptr<ProcessGroup> make_process_group(c10::intrusive_ptr<c10d::ProcessGroup> group) {
  return std::make_shared<C10dGroup>(std::move(group));
}

}  // namespace fxq
