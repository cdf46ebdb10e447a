// LibTorch's own serialization of optimizers, as bytes in a tensor.
#include "fxq/train/optimizer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <torch/optim/adam.h>
#include <torch/optim/adamw.h>
#include <torch/optim/sgd.h>
#include <torch/serialize/input-archive.h>
#include <torch/serialize/output-archive.h>

#include <cmath>
#include <cstring>
#include <sstream>

namespace fxq {
namespace {

std::unique_ptr<torch::optim::Optimizer> make(const std::vector<at::Tensor>& parameters,
                                              const TrainOptions& options) {
  if (options.optimizer == "adam") {
    return std::make_unique<torch::optim::Adam>(
        parameters,
        torch::optim::AdamOptions(options.learning_rate).weight_decay(options.weight_decay));
  }
  if (options.optimizer == "adamw") {
    return std::make_unique<torch::optim::AdamW>(
        parameters,
        torch::optim::AdamWOptions(options.learning_rate).weight_decay(options.weight_decay));
  }
  return std::make_unique<torch::optim::SGD>(parameters,
                                             torch::optim::SGDOptions(options.learning_rate)
                                                 .momentum(options.momentum)
                                                 .weight_decay(options.weight_decay));
}

}  // namespace

TrainOptimizer::TrainOptimizer(std::vector<at::Tensor> parameters, const TrainOptions& options)
    : parameters_(std::move(parameters)),
      clip_(options.gradient_clip),
      optimizer_(make(parameters_, options)) {}

TrainOptimizer::TrainOptimizer(TrainOptimizer&&) noexcept = default;
TrainOptimizer& TrainOptimizer::operator=(TrainOptimizer&&) noexcept = default;
TrainOptimizer::~TrainOptimizer() = default;

void TrainOptimizer::zero_grad() { optimizer_->zero_grad(); }

void TrainOptimizer::step(double learning_rate) {
  const at::NoGradGuard no_grad;
  if (clip_ > 0) {
    double squares = 0;
    for (const at::Tensor& parameter : parameters_) {
      if (parameter.grad().defined()) {
        const double norm = parameter.grad().norm().item<double>();
        squares += norm * norm;
      }
    }
    const double norm = std::sqrt(squares);
    for (const at::Tensor& parameter : parameters_) {
      if (norm > clip_ && parameter.grad().defined()) parameter.mutable_grad().mul_(clip_ / norm);
    }
  }
  for (auto& group : optimizer_->param_groups()) group.options().set_lr(learning_rate);
  optimizer_->step();
}

at::Tensor TrainOptimizer::state() const {
  torch::serialize::OutputArchive archive;
  optimizer_->save(archive);
  std::ostringstream stream;
  archive.save_to(stream);
  const std::string bytes = stream.str();
  at::Tensor tensor = at::empty({static_cast<int64_t>(bytes.size())}, at::kByte);
  std::memcpy(tensor.data_ptr(), bytes.data(), bytes.size());
  return tensor;
}

absl::Status TrainOptimizer::set_state(const at::Tensor& state) {
  std::istringstream stream(
      std::string(static_cast<const char*>(state.data_ptr()), static_cast<size_t>(state.numel())));
  try {
    torch::serialize::InputArchive archive;
    archive.load_from(stream);
    optimizer_->load(archive);
  } catch (const std::exception& error) {
    const std::string message = error.what();
    return absl::DataLossError("the optimizer's state does not fit this model and optimizer: " +
                               message.substr(0, message.find('\n')));
  }
  return absl::OkStatus();
}

}  // namespace fxq
