// verify walks the steps once: a value is usable after its constant, input or step has defined it.
#include "fxq/runtime/program.h"

#include <set>

#include "absl/strings/str_join.h"
#include "fmt/format.h"

namespace fxq {
namespace {

void collect_leaves(const OutputTree& tree, std::vector<ValueId>& leaves) {
  if (tree.kind == OutputTree::Kind::kValue) leaves.push_back(tree.value);
  for (const OutputTree& child : tree.children) collect_leaves(child, leaves);
}

class Verifier {
 public:
  explicit Verifier(const Program& program)
      : program_(program), defined_(program.values.size(), false) {}

  absl::Status verify() {
    check_constants();
    check_inputs();
    for (const Step& step : program_.steps) check_step(step);
    for (const Guard& guard : program_.guards) check_guard(guard);
    check_output(program_.output);
    if (problems_.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(
        fmt::format("the program is not valid: {}", absl::StrJoin(problems_, "; ")));
  }

 private:
  template <typename... Args>
  void problem(fmt::format_string<Args...> text, Args&&... args) {
    problems_.push_back(fmt::format(text, std::forward<Args>(args)...));
  }

  bool exists(ValueId id) const {
    return id >= 0 && static_cast<size_t>(id) < program_.values.size();
  }

  void define(ValueId id, const std::string& where) {
    if (!exists(id)) return problem("{} defines value {}, which does not exist", where, id);
    if (defined_[id]) {
      return problem("{} defines value {} ({}) a second time", where, id, program_.values[id].name);
    }
    defined_[id] = true;
  }

  void use(ValueId id, const std::string& where) {
    if (!exists(id)) return problem("{} uses value {}, which does not exist", where, id);
    if (!defined_[id]) {
      problem("{} uses value {} ({}) before it is defined", where, id, program_.values[id].name);
    }
  }

  void check_constants() {
    for (size_t id = 0; id < program_.values.size(); ++id) {
      const Value& value = program_.values[id];
      if (value.constant.empty()) continue;
      defined_[id] = true;
      const auto found = program_.constants.find(value.constant);
      if (found == program_.constants.end()) {
        problem("value {} ({}): there is no tensor \"{}\"", id, value.name, value.constant);
      } else if (value.kind != ValueKind::kTensor || found->second.dtype() != value.dtype) {
        problem("value {} ({}): tensor \"{}\" is {}, the value is {}", id, value.name,
                value.constant, dtype_name(found->second.dtype()), dtype_name(value.dtype));
      }
    }
  }

  void check_inputs() {
    std::set<std::string> names;
    for (ValueId id : program_.inputs) {
      define(id, "the list of inputs");
      if (!exists(id)) continue;
      const Value& value = program_.values[id];
      if (value.kind != ValueKind::kTensor) problem("input {} is not a tensor", value.name);
      if (!names.insert(value.name).second) problem("two inputs are named {}", value.name);
    }
  }

  void check_step(const Step& step) {
    const std::string where = fmt::format("step '{}' ({})", step.name, step.kernel);
    if (step.outputs.empty()) problem("{} has no outputs", where);
    for (ValueId id : step.inputs) {
      if (id != kNoValue) use(id, where);
    }
    for (const auto& [name, id] : step.computed) check_computed(name, id, where);
    for (ValueId id : step.outputs) define(id, where);
  }

  void check_computed(const std::string& name, ValueId id, const std::string& where) {
    use(id, where);
    if (!exists(id)) return;
    const ValueKind kind = program_.values[id].kind;
    if (kind == ValueKind::kInt || kind == ValueKind::kInts) return;
    problem("attribute {} of {} is no register of integers", name, where);
  }

  void check_guard(const Guard& guard) {
    const std::string where = fmt::format("guard \"{}\"", guard.message);
    use(guard.condition, where);
    if (exists(guard.condition) && program_.values[guard.condition].kind != ValueKind::kBool) {
      problem("{} is not on a bool", where);
    }
  }

  void check_output(const OutputTree& tree) {
    if (tree.kind == OutputTree::Kind::kValue) use(tree.value, "the output");
    if (tree.kind == OutputTree::Kind::kDict && tree.keys.size() != tree.children.size()) {
      problem("a dict in the output has {} keys for {} values", tree.keys.size(),
              tree.children.size());
    }
    for (const OutputTree& child : tree.children) check_output(child);
  }

  const Program& program_;
  std::vector<bool> defined_;
  std::vector<std::string> problems_;
};

}  // namespace

ValueId Program::add_value(Value value) {
  values.push_back(std::move(value));
  return static_cast<ValueId>(values.size() - 1);
}

ValueId Program::add_constant(std::string name, HostTensor tensor) {
  Value value;
  value.name = name;
  value.dtype = tensor.dtype();
  value.rank = static_cast<int>(tensor.dims().size());
  value.constant = name;
  constants.insert_or_assign(std::move(name), std::move(tensor));
  return add_value(std::move(value));
}

std::vector<ValueId> Program::output_values() const {
  std::vector<ValueId> leaves;
  collect_leaves(output, leaves);
  return leaves;
}

absl::Status Program::verify() const { return Verifier(*this).verify(); }

}  // namespace fxq
