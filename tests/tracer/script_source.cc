// TorchScript text -> compiled module -> graph -> both run on the same inputs.
#include "script_source.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "fxq/graph/text.h"

namespace fxq {

torch::jit::Module script_module(const std::string& source) {
  at::manual_seed(7);
  torch::jit::Module module("Net");
  module.register_parameter("w", at::randn({4, 3, 3, 3}), false);
  module.register_parameter("m", at::randn({5, 3}), false);
  module.register_parameter("b", at::randn({4}), false);
  module.register_parameter("c", at::randn({5}), false);
  module.register_buffer("count", at::zeros({}, at::kLong));
  module.register_attribute("training", c10::BoolType::get(), false);
  module.define(source);
  return module;
}

std::string traced_text(const torch::jit::Module& module, const TraceOptions& options) {
  auto gm = trace(module, options);
  if (!gm.ok()) return std::string(gm.status().message());
  PrintOptions print;
  print.types = false;
  const std::string text = print_text(*gm, print);
  return text.substr(text.find("graph ("));
}

std::vector<at::Tensor> tensors_in(const c10::IValue& value) {
  if (value.isTensor()) return {value.toTensor()};
  std::vector<at::Tensor> all;
  const auto add = [&](const c10::IValue& part) {
    for (at::Tensor& tensor : tensors_in(part)) all.push_back(tensor);
  };
  if (value.isTuple()) {
    for (const c10::IValue& part : value.toTupleRef().elements()) add(part);
  } else if (value.isList()) {
    for (const c10::IValue& part : value.toListRef()) add(part);
  } else if (value.isGenericDict()) {
    for (const auto& entry : value.toGenericDict()) add(entry.value());
  }
  return all;
}

void expect_equal_results(const torch::jit::Module& module, const GraphModule& gm,
                          const std::vector<c10::IValue>& inputs) {
  at::NoGradGuard no_grad;
  const auto copy = [&] {
    std::vector<c10::IValue> copies;
    for (const c10::IValue& input : inputs) copies.push_back(input.deepcopy());
    return copies;
  };
  torch::jit::Module original = module.deepcopy();
  at::manual_seed(3);
  const std::vector<at::Tensor> expected = tensors_in(original.forward(copy()));
  at::manual_seed(3);
  auto result = gm.forward(copy());
  ASSERT_TRUE(result.ok()) << result.status();
  const std::vector<at::Tensor> actual = tensors_in(*result);
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    EXPECT_EQ(actual[i].scalar_type(), expected[i].scalar_type());
    EXPECT_TRUE(at::equal(actual[i], expected[i])) << "output " << i << " differs";
  }
}

}  // namespace fxq
