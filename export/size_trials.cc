// slice(%x: [8], 0, 0, %n) with n = 3, open   ->   n = 4, 2, 6, 1 give [4], [2], ...: the result is
// [?]
#include "fxq/export/size_trials.h"

#include <ATen/core/List.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/function_schema.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <optional>

#include "fxq/export/open_sizes.h"
#include "fxq/export/type_record.h"

namespace fxq {
namespace {

using Values = std::vector<c10::IValue>;

// One more and one less show most; twice as many also gets across a limit, one broadcasts.
enum class Trial { kOneMore, kOneLess, kTwice, kOne };
constexpr Trial kTrials[] = {Trial::kOneMore, Trial::kOneLess, Trial::kTwice, Trial::kOne};

template <typename Number>
Number changed(Number number, Trial trial) {
  switch (trial) {
    case Trial::kOneMore:
      return number + 1;
    case Trial::kOneLess:
      return number - 1;
    case Trial::kTwice:
      return number * 2;
    case Trial::kOne:
      return 1;
  }
  return number;
}

// A window that moves: x[:, i:i + 3].
bool is_window(const Node& node) {
  if (node.op() != OpId::kSlice || node.args().size() < 4) return false;
  const Node* end = node.args()[3].node();
  if (!end || end->op() != OpId::kAddInt || !node.args()[2].node()) return false;
  const auto& terms = end->args();
  return terms[0] == node.args()[2] ? !terms[1].node()
                                    : terms[1] == node.args()[2] && !terms[0].node();
}

// The arguments of one call as a trial has them.
class TrialValues {
 public:
  TrialValues(const Doubts& doubts, Trial trial) : doubts_(doubts), trial_(trial) {}

  c10::IValue of(const Argument& argument, const c10::IValue& value) {
    if (const Node* node = argument.node()) return of_node(*node, value);
    const std::vector<Argument>* items = argument.items();
    if (!items) return value;
    return with_items(value, [&](const c10::IValue& item, size_t i) {
      return i < items->size() ? of((*items)[i], item) : item;
    });
  }

  bool differ() const { return differ_; }

 private:
  template <typename Change>
  static c10::IValue with_items(const c10::IValue& value, const Change& change) {
    if (value.isList()) {
      c10::List<c10::IValue> list = value.toList().copy();
      for (size_t i = 0; i < list.size(); ++i) list.set(i, change(list.get(i), i));
      return list;
    }
    if (!value.isTuple()) return value;
    Values items = value.toTupleRef().elements().vec();
    for (size_t i = 0; i < items.size(); ++i) items[i] = change(items[i], i);
    return c10::ivalue::Tuple::create(std::move(items));
  }

  c10::IValue of_node(const Node& node, const c10::IValue& value) {
    if (value.isInt() || value.isDouble() || value.isIntList()) {
      return doubts_.is_open_number(node) ? number_of(node, value) : value;
    }
    return resized(value, doubts_.type_of(node));
  }

  c10::IValue number_of(const Node& node, const c10::IValue& value) {
    if (value.isIntList()) {
      const auto open = open_items(node, doubts_.type_of);
      return with_items(value, [&](const c10::IValue& item, size_t i) {
        return open && i < open->size() && !(*open)[i] ? item : number_of(node, item);
      });
    }
    differ_ = true;
    if (value.isInt()) return changed(value.toInt(), trial_);
    return changed(value.toDouble(), trial_);
  }

  c10::IValue resized(const c10::IValue& value, const Type& type) {
    if (value.isTensor()) return resized(value.toTensor(), type);
    if (type.elements.empty()) return value;
    return with_items(value, [&](const c10::IValue& item, size_t i) {
      return resized(item, type.elements[std::min(i, type.elements.size() - 1)]);
    });
  }

  c10::IValue resized(const at::Tensor& tensor, const Type& type) {
    if (!tensor.defined() || tensor.is_quantized() || type.rank() != tensor.dim()) return tensor;
    std::vector<int64_t> sizes = tensor.sizes().vec();
    for (size_t i = 0; i < sizes.size(); ++i) {
      if (!(*type.dims)[i].is_known()) sizes[i] = std::max<int64_t>(0, changed(sizes[i], trial_));
    }
    if (tensor.sizes() == sizes) return tensor;
    differ_ = true;
    return at::zeros(sizes, tensor.options());
  }

  const Doubts& doubts_;
  Trial trial_;
  bool differ_ = false;
};

void forget_sizes(Type& type) {
  for (Type& element : type.elements) forget_sizes(element);
  if (!type.dims) return;
  for (Dim& dim : *type.dims) dim = Dim{};
}

// What it writes into keeps its sizes.
Type type_of_written(const CallSeen& call, const Doubts& doubts) {
  Type type = seen_type(call.result);
  const Node* written = call.node.args().empty() ? nullptr : call.node.args()[0].node();
  if (!written || !type.is_tensor()) return type;
  const Type own = doubts.type_of(*written);
  if (own.rank() == type.rank()) keep_common(type, own);
  return type;
}

struct Inputs {
  Values args, kwargs;
};

// None if the trial changes nothing.
std::optional<Inputs> inputs_of_trial(const CallSeen& call, const Doubts& doubts, Trial trial) {
  TrialValues values(doubts, trial);
  Inputs inputs;
  for (size_t i = 0; i < call.args.size() && i < call.node.args().size(); ++i) {
    inputs.args.push_back(values.of(call.node.args()[i], call.args[i]));
  }
  for (size_t i = 0; i < call.kwargs.size(); ++i) {
    inputs.kwargs.push_back(values.of(call.node.kwargs()[i].second, call.kwargs[i]));
  }
  return values.differ() ? std::optional<Inputs>(std::move(inputs)) : std::nullopt;
}

// Adds what the run shows; false if it is not possible.
bool add_run(Inputs inputs, const RunAgain& run, Type& type) {
  try {
    const auto result = run(std::move(inputs.args), std::move(inputs.kwargs));
    if (result.ok()) keep_common(type, seen_type(*result));
    return result.ok();
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace

Type type_after_trials(const CallSeen& call, const Doubts& doubts, const RunAgain& run) {
  Type type = seen_type(call.result);
  const c10::FunctionSchema* schema = call.node.schema();
  if (schema && schema->is_mutable()) return type_of_written(call, doubts);
  if (is_window(call.node)) return type;
  bool tried = false, ran = false;
  for (const Trial trial : kTrials) {
    auto inputs = inputs_of_trial(call, doubts, trial);
    if (!inputs) continue;
    tried = true;
    ran |= add_run(*std::move(inputs), run, type);
  }
  if (tried && !ran) forget_sizes(type);
  return type;
}

}  // namespace fxq
