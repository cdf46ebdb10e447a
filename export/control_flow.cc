// @if(%c, %x)          ->  If(c) {then_branch: (y = f(x)), else_branch: (y = Identity(x))}
// @loop(%n, %c, %s)    ->  Loop(n, c, s) {body: (trip, go_on, s) -> (go_on, s)}
#include "fxq/export/control_flow.h"

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include <algorithm>

#include "fxq/base/status.h"
#include "fxq/export/block_result.h"
#include "fxq/export/exporter.h"
#include "fxq/export/lowering/parts.h"
#include "fxq/export/opset_forms.h"
#include "fxq/export/type_record.h"

namespace fxq {
namespace {

using Kind = OnnxValue::Kind;

// Types of what a body returns, from `first` on; None for what was never set.
std::vector<Type> returned_types(const GraphModule& body, const std::vector<Type>& declared,
                                 size_t first) {
  std::vector<Type> types;
  const std::vector<Argument>* items = body.graph().output_node()->args()[0].items();
  for (size_t i = 0; i < declared.size(); ++i) {
    const Argument& item = (*items)[first + i];
    types.push_back(item.node()      ? item.node()->type
                    : item.is_none() ? Type::of(Type::Kind::kNone)
                                     : declared[i]);
  }
  return types;
}

class BlockWriter {
 public:
  BlockWriter(Exporter& exporter, const Node& call, const BlockModule& block,
              const WriteBody& write_body)
      : exporter_(exporter),
        builder_(exporter.builder()),
        call_(call),
        block_(block),
        write_body_(write_body) {}

  absl::Status write() {
    std::vector<OnnxValue> inputs;
    for (const Argument& argument : call_.args()) {
      FXQ_ASSIGN_OR_RETURN(OnnxValue input, exporter_.value_of(argument));
      inputs.push_back(std::move(input));
    }
    switch (block_.block_kind()) {
      case BlockKind::kCode:
        return write_in_place(block_.bodies()[0], inputs);
      case BlockKind::kIf:
        return write_if(inputs);
      case BlockKind::kLoop:
        return write_loop(inputs);
    }
    return absl::InternalError("a block of no kind");
  }

 private:
  absl::Status write_in_place(const GraphModule& body, const std::vector<OnnxValue>& inputs) {
    const OnnxBuilder::Place place = builder_.place();
    auto result = write_body_(body, inputs);
    builder_.resume(place);
    FXQ_RETURN_IF_ERROR(result.status());
    if (result->kind == Kind::kList) {
      finish_values(exporter_, call_, std::move(result->children));
      return absl::OkStatus();
    }
    if (builder_.rename(result->name, call_.name())) result->name = call_.name();
    exporter_.set(&call_, *std::move(result));
    return absl::OkStatus();
  }

  absl::Status write_if(std::vector<OnnxValue> inputs) {
    const OnnxValue condition = inputs[0];
    inputs.erase(inputs.begin());
    if (condition.is_constant()) {
      return write_in_place(block_.bodies()[condition.constant[0] != 0 ? 0 : 1], inputs);
    }
    std::vector<Type> seen = returned_types(block_.bodies()[0], block_.results(), 0);
    const std::vector<Type> other = returned_types(block_.bodies()[1], block_.results(), 0);
    for (size_t i = 0; i < seen.size(); ++i) keep_common(seen[i], other[i]);
    const absl::Status known = find_results(seen);
    absl::Status status = known;
    OnnxCall call{"If", {exporter_.bool_tensor(condition)}, {}, ""};
    for (size_t i = 0; i < 2; ++i) {
      const char* name = i == 0 ? "then_branch" : "else_branch";
      builder_.open_subgraph(call_.name() + "." + name);
      const absl::Status written = write_branch(block_.bodies()[i], inputs, known.ok());
      call.attributes.emplace_back(name, builder_.close_subgraph());
      if (!written.ok() && (status.ok() || absl::IsAborted(written))) status = written;
    }
    FXQ_RETURN_IF_ERROR(status);
    return finish(std::move(call));
  }

  absl::Status write_branch(const GraphModule& body, const std::vector<OnnxValue>& inputs,
                            bool has_results) {
    FXQ_ASSIGN_OR_RETURN(const OnnxValue value, write_body_(body, inputs));
    return has_results ? add_results(body, value, 0) : absl::OkStatus();
  }

  // What the body returns from `first` on.
  absl::Status add_results(const GraphModule& body, const OnnxValue& value, size_t first) {
    builder_.begin(call_.name(), "");
    const std::vector<Type> types = returned_types(body, block_.results(), first);
    for (size_t i = 0; i < results_.size(); ++i) {
      const bool unset = types[i].kind == Type::Kind::kNone;
      FXQ_RETURN_IF_ERROR(add_output(unset ? OnnxValue() : value.children[first + i], results_[i]));
    }
    return absl::OkStatus();
  }

  absl::Status add_output(const OnnxValue& value, const BlockResult& result) {
    FXQ_ASSIGN_OR_RETURN(std::string name, as_result(exporter_, value, result));
    if (!builder_.makes(name) || is_output(name)) name = builder_.add("Identity", {name});
    write_value_info(result, name, *builder_.graph().add_output());
    return absl::OkStatus();
  }

  bool is_output(const std::string& name) {
    const auto& outputs = builder_.graph().output();
    return std::any_of(outputs.begin(), outputs.end(),
                       [&](const auto& output) { return output.name() == name; });
  }

  absl::Status find_results(const std::vector<Type>& seen) {
    for (size_t i = 0; i < seen.size(); ++i) {
      FXQ_ASSIGN_OR_RETURN(BlockResult result,
                           block_result(block_.results()[i], seen[i], exporter_.opset()));
      results_.push_back(std::move(result));
    }
    return absl::OkStatus();
  }

  absl::Status write_loop(const std::vector<OnnxValue>& inputs) {
    const GraphModule& body = block_.bodies()[0];
    const std::vector<Node*> placeholders = body.graph().placeholders();
    std::vector<Type> seen = returned_types(body, block_.results(), 1);
    for (size_t i = 0; i < seen.size(); ++i) keep_common(seen[i], placeholders[i + 1]->type);
    FXQ_RETURN_IF_ERROR(find_results(seen));
    OnnxCall call{"Loop", {most_trips(inputs[0]), exporter_.bool_tensor(inputs[1])}, {}, ""};
    for (size_t i = 0; i < results_.size(); ++i) {
      const Node* node = call_.args()[i + 2].node();
      const bool unset = node && node->type.kind == Type::Kind::kNone;
      FXQ_ASSIGN_OR_RETURN(const std::string first,
                           as_result(exporter_, unset ? OnnxValue() : inputs[i + 2], results_[i]));
      call.inputs.push_back(first);
    }
    builder_.open_subgraph(call_.name() + ".body");
    std::vector<OnnxValue> values = body_inputs(placeholders);
    values.insert(values.end(), inputs.begin() + 2 + static_cast<int64_t>(results_.size()),
                  inputs.end());
    const absl::Status written = write_loop_body(body, values);
    call.attributes.emplace_back("body", builder_.close_subgraph());
    FXQ_RETURN_IF_ERROR(written);
    return finish(std::move(call));
  }

  std::string most_trips(const OnnxValue& limit) {
    const bool endless = limit.is_constant() && limit.constant[0] == kEndlessTrips;
    return endless ? "" : exporter_.int_tensor(limit);
  }

  // Declares them: trip, condition, what goes round. The condition was looked at already.
  std::vector<OnnxValue> body_inputs(const std::vector<Node*>& placeholders) {
    onnx::GraphProto& graph = builder_.graph();
    const BlockResult number{Kind::kInt, {}}, condition{Kind::kBool, {}};
    write_value_info(number, placeholders[0]->name(), *graph.add_input());
    write_value_info(condition, builder_.unique(call_.name() + ".go_on"), *graph.add_input());
    std::vector<OnnxValue> values{OnnxValue::named(Kind::kInt, placeholders[0]->name())};
    for (size_t i = 0; i < results_.size(); ++i) {
      const std::string& name = placeholders[i + 1]->name();
      write_value_info(results_[i], name, *graph.add_input());
      values.push_back(OnnxValue::named(results_[i].form, name));
    }
    return values;
  }

  absl::Status write_loop_body(const GraphModule& body, const std::vector<OnnxValue>& inputs) {
    FXQ_ASSIGN_OR_RETURN(const OnnxValue value, write_body_(body, inputs));
    builder_.begin(call_.name(), "");
    FXQ_RETURN_IF_ERROR(add_output(value.children[0], {Kind::kBool, {}}));
    return add_results(body, value, 1);
  }

  absl::Status finish(OnnxCall call) {
    const std::vector<std::string> made = builder_.add_many(std::move(call), results_.size());
    std::vector<OnnxValue> values;
    for (size_t i = 0; i < made.size(); ++i) {
      values.push_back(OnnxValue::named(results_[i].form, made[i]));
    }
    finish_values(exporter_, call_, std::move(values));
    return absl::OkStatus();
  }

  Exporter& exporter_;
  OnnxBuilder& builder_;
  const Node& call_;
  const BlockModule& block_;
  const WriteBody& write_body_;
  std::vector<BlockResult> results_;
};

}  // namespace

absl::Status write_block(Exporter& exporter, const Node& call, const BlockModule& block,
                         const WriteBody& write_body) {
  return BlockWriter(exporter, call, block, write_body).write();
}

}  // namespace fxq
