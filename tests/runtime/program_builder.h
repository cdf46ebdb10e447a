// ProgramBuilder: small programs, value by value, for tests and benchmarks.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "fxq/runtime/program.h"

namespace fxq::testing {

using Attrs = std::map<std::string, Attr>;

class ProgramBuilder {
 public:
  ValueId input(std::string name, DType dtype, std::optional<int> rank = std::nullopt) {
    const ValueId id = value(std::move(name), dtype);
    program_.values[id].rank = rank;
    program_.inputs.push_back(id);
    return id;
  }

  ValueId constant(std::string name, HostTensor tensor) {
    return program_.add_constant(std::move(name), std::move(tensor));
  }

  // Steps and their first value share a name.
  ValueId step(std::string kernel, std::vector<ValueId> inputs, Attrs attrs, DType dtype) {
    return steps(std::move(kernel), std::move(inputs), std::move(attrs), dtype, 1)[0];
  }

  std::vector<ValueId> steps(std::string kernel, std::vector<ValueId> inputs, Attrs attrs,
                             DType dtype, int outputs) {
    const std::string name = kernel + std::to_string(program_.steps.size());
    std::vector<ValueId> ids;
    for (int i = 0; i < outputs; ++i) {
      ids.push_back(value(name + (i == 0 ? "" : "_" + std::to_string(i)), dtype));
    }
    program_.steps.push_back(
        {std::move(kernel), 1, name, std::move(inputs), ids, std::move(attrs)});
    return ids;
  }

  ValueId reg(std::string kernel, std::vector<ValueId> inputs, Attrs attrs, ValueKind kind) {
    const ValueId id = step(std::move(kernel), std::move(inputs), std::move(attrs), DType::kI64);
    program_.values[id].kind = kind;
    return id;
  }

  Program output(const std::vector<ValueId>& ids) {
    program_.output = {};
    program_.output.kind = OutputTree::Kind::kTuple;
    for (ValueId id : ids) {
      OutputTree leaf;
      leaf.value = id;
      program_.output.children.push_back(leaf);
    }
    return program_;
  }

  Program& program() { return program_; }

 private:
  ValueId value(std::string name, DType dtype) {
    Value value;
    value.name = std::move(name);
    value.dtype = dtype;
    return program_.add_value(std::move(value));
  }

  Program program_;
};

}  // namespace fxq::testing
