// (a, {"c": z}) for inputs a, b, c   ->   a, None, z
#include "fxq/export/place_args.h"

#include <ATen/core/ivalue.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "fxq/graph/problems.h"

namespace fxq {
namespace {

bool names_inputs(const std::vector<c10::IValue>& args) {
  if (args.empty() || !args.back().isGenericDict()) return false;
  for (const auto& entry : args.back().toGenericDict()) {
    if (!entry.key().isString()) return false;
  }
  return true;
}

bool wants_tensor(const Type& type) { return type.is_tensor(); }

class Placing {
 public:
  Placing(const GraphModule& model, const std::vector<c10::IValue>& args)
      : placeholders_(model.graph().placeholders()), args_(args) {}

  absl::StatusOr<std::vector<c10::IValue>> place() {
    const bool named = names_inputs(args_) && args_.size() <= placeholders_.size() + 1;
    const size_t positional = args_.size() - (named ? 1 : 0);
    if (positional > placeholders_.size() || (!named && positional < placeholders_.size())) {
      return absl::InvalidArgumentError(
          fmt::format("the model takes {} input(s) ({}) and got {} example(s)",
                      placeholders_.size(), fmt::join(names(), ", "), positional));
    }
    values_.assign(args_.begin(), args_.begin() + static_cast<std::ptrdiff_t>(positional));
    values_.resize(placeholders_.size());
    given_.assign(placeholders_.size(), false);
    std::fill_n(given_.begin(), positional, true);
    if (named) place_named();
    for (size_t i = 0; i < placeholders_.size(); ++i) {
      if (given_[i] || !wants_tensor(placeholders_[i]->type)) continue;
      problems_.add(
          fmt::format("input '{}' is a tensor and has no example", placeholders_[i]->target()));
    }
    const absl::Status status = problems_.status(absl::StatusCode::kInvalidArgument, "args");
    if (!status.ok()) return status;
    return std::move(values_);
  }

 private:
  std::vector<std::string> names() const {
    std::vector<std::string> result;
    for (const Node* node : placeholders_) result.push_back(node->target());
    return result;
  }

  void place_named() {
    for (const auto& entry : args_.back().toGenericDict()) {
      const std::string name = entry.key().toStringRef();
      size_t i = 0;
      while (i < placeholders_.size() && placeholders_[i]->target() != name) ++i;
      if (i == placeholders_.size()) {
        problems_.add(
            fmt::format("no input is named '{}'; inputs are {}", name, fmt::join(names(), ", ")));
      } else if (given_[i]) {
        problems_.add(fmt::format("input '{}' is given by place and by name", name));
      } else {
        values_[i] = entry.value();
        given_[i] = true;
      }
    }
  }

  const std::vector<Node*> placeholders_;
  const std::vector<c10::IValue>& args_;
  std::vector<c10::IValue> values_;
  std::vector<bool> given_;
  Problems problems_;
};

}  // namespace

absl::StatusOr<std::vector<c10::IValue>> place_args(const GraphModule& model,
                                                    const std::vector<c10::IValue>& args) {
  if (args.empty()) return args;
  return Placing(model, args).place();
}

}  // namespace fxq
