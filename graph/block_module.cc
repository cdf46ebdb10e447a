// if c: x = f(y) else: x = y     ->  kIf(c, y) with bodies {f(y)}, {y}
// while c: x = f(x); c = g(x)    ->  kLoop(endless, c, x) with the body {(g(f(x)), f(x))}
#include "fxq/graph/block_module.h"

#include <ATen/core/List.h>
#include <ATen/core/Tensor.h>

#include "fxq/base/check.h"

namespace fxq {
namespace {

template <typename T>
c10::IValue list_of(const c10::IValue& list) {
  c10::List<T> typed;
  for (const c10::IValue& item : list.toListRef()) typed.push_back(item.to<T>());
  return typed;
}

// Lists that a graph puts together do not say what they hold, least of all empty ones.
c10::IValue as_declared(const c10::IValue& value, const Type& type) {
  if (value.isTuple() && type.kind == Type::Kind::kTuple) {
    std::vector<c10::IValue> items = value.toTupleRef().elements().vec();
    for (size_t i = 0; i < items.size() && i < type.elements.size(); ++i) {
      items[i] = as_declared(items[i], type.elements[i]);
    }
    return c10::ivalue::Tuple::create(std::move(items));
  }
  if (!value.isList() || type.kind != Type::Kind::kList || type.elements.empty()) return value;
  if (type.elements[0].is_tensor()) return list_of<at::Tensor>(value);
  return type.elements[0].kind == Type::Kind::kInt ? list_of<int64_t>(value) : value;
}

}  // namespace

BlockModule::BlockModule(BlockKind kind, std::vector<GraphModule> bodies, std::vector<Type> results)
    : LeafModule("fxq.OpenBlock"),
      kind_(kind),
      bodies_(std::move(bodies)),
      results_(std::move(results)) {
  FXQ_CHECK(bodies_.size() == (kind == BlockKind::kIf ? 2U : 1U), "an If has two bodies");
}

c10::IValue BlockModule::run(std::vector<c10::IValue> inputs, const RunBody& run_body,
                             const BlockCourse& course) const {
  if (kind_ == BlockKind::kCode) return as_declared(run_body(0, std::move(inputs)), results_.at(0));
  if (kind_ == BlockKind::kLoop) return run_loop(std::move(inputs), run_body, course);
  const bool first = inputs.at(0).toBool() != course.other_branch;
  inputs.erase(inputs.begin());
  return as_declared(run_body(first ? 0 : 1, std::move(inputs)), Type::tuple(results_));
}

c10::IValue BlockModule::run_loop(std::vector<c10::IValue> inputs, const RunBody& run_body,
                                  const BlockCourse& course) const {
  const int64_t limit = std::min(inputs.at(0).toInt(), course.most_trips);
  bool go_on = inputs.at(1).toBool();
  inputs.erase(inputs.begin());  // the condition's place is the trip's from here on
  for (int64_t trip = 0; (go_on && trip < limit) || trip < course.least_trips; ++trip) {
    inputs[0] = trip;
    const c10::IValue result = run_body(0, inputs);
    const auto& parts = result.toTupleRef().elements();
    go_on = parts[0].toBool();
    for (size_t i = 0; i < results_.size(); ++i) {
      inputs[i + 1] = as_declared(parts[i + 1], results_[i]);
    }
  }
  const auto first = inputs.begin() + 1;
  return c10::ivalue::Tuple::create(std::vector<c10::IValue>(
      first, first + static_cast<std::vector<c10::IValue>::difference_type>(results_.size())));
}

c10::IValue BlockModule::call(const std::string&, std::vector<c10::IValue> inputs) {
  return run(std::move(inputs), [this](size_t body, std::vector<c10::IValue> values) {
    auto result = bodies_[body].forward(std::move(values));
    TORCH_CHECK(result.ok(), std::string(result.status().message()));
    return *std::move(result);
  });
}

std::shared_ptr<LeafModule> BlockModule::clone_leaf() const {
  std::vector<GraphModule> bodies;
  for (const GraphModule& body : bodies_) bodies.push_back(body.copy());
  auto clone = std::make_shared<BlockModule>(kind_, std::move(bodies), results_);
  clone->torch::nn::Module::train(is_training());
  return clone;
}

void BlockModule::set_tensor(const std::string& name, at::Tensor) {
  FXQ_CHECK(false, "a block has no tensor " + name);
}

void BlockModule::train(bool on) {
  torch::nn::Module::train(on);
  for (GraphModule& body : bodies_) body.train(on);
}

}  // namespace fxq
