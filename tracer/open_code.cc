// graph(%x) { %r = add(%x, 1); if %c ... }   ->   a BlockModule of kind kCode whose body is the
// code
#include <ATen/core/function_schema.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/api/module.h>

#include "fxq/tracer/open_block.h"
#include "fxq/tracer/opened_body.h"
#include "fxq/tracer/tensor_writes.h"
#include "fxq/tracer/trace.h"

namespace fxq {

namespace jit = torch::jit;

namespace {

// Placeholders of these types, whose sizes stay open; what is not given has its default.
std::vector<ValuePtr> block_inputs(const c10::FunctionSchema& schema,
                                   const std::vector<Type>& inputs, Emitter& emitter) {
  std::vector<ValuePtr> values;
  for (size_t i = 1; i < schema.arguments().size(); ++i) {  // the first is self
    const c10::Argument& argument = schema.arguments()[i];
    if (i > inputs.size()) {
      TORCH_CHECK(argument.default_value(), "its input '", argument.name(), "' is missing");
      values.push_back(from_ivalue(*argument.default_value(), argument.type()));
      continue;
    }
    values.push_back(emitter.placeholder(argument.name(), argument.type()));
    if (!inputs[i - 1].is_tensor()) continue;
    Type& type = values.back()->node->type;
    type = inputs[i - 1];
    if (type.dims) type.dims->assign(type.dims->size(), Dim{});
  }
  return values;
}

absl::StatusOr<OpenedBlock> read_block(const OpaqueModule& block, const std::vector<Type>& inputs,
                                       const std::set<size_t>& owned) {
  static const auto* no_wraps = new WrapRegistry;
  static const auto* tracer = new Tracer;
  if (block.keeps_state()) return absl::UnimplementedError("its code keeps state");
  const jit::Module& module = block.script_module();
  GraphModule gm;
  ReaderOptions reading;
  reading.wraps = no_wraps;
  reading.tracer = tracer;
  reading.training = block.is_training();
  reading.open_blocks = true;
  ScriptReader reader(gm, module, reading);
  const c10::FunctionSchema& schema = module.get_method("forward").function().getSchema();
  if (inputs.size() + 1 > schema.arguments().size()) {
    return absl::UnimplementedError("it takes fewer inputs");
  }
  std::vector<ValuePtr> values = block_inputs(schema, inputs, reader.emitter());
  for (const size_t index : owned) values[index]->storage->external = false;
  ValuePtr result = reader.run_method(reader.root(), "forward", values);
  if (!reader.problems().empty()) {
    return absl::UnimplementedError(fmt::format("{}", fmt::join(reader.problems(), "; ")));
  }
  std::set<size_t> shown;
  for (const size_t index : owned) {
    if (changes_with(result, values[index])) shown.insert(index);
  }
  if (!owned.empty()) result = make_items(Value::Kind::kTuple, {result}, nullptr);
  for (const size_t index : owned) {
    const bool gone = values[index]->is(Value::Kind::kPoison);
    result->items.push_back(gone ? make_constant(c10::IValue()) : values[index]);
  }
  reader.emitter().output(result);
  remove_dead_nodes(gm);
  gm.guards = reader.guards();
  gm.train(reading.training);
  std::vector<GraphModule> bodies;
  bodies.push_back(std::move(gm));
  Type type = node_type(schema.returns()[0].type());
  if (!owned.empty()) {
    type = Type::tuple({type});
    type.elements.resize(1 + owned.size(), Type::tensor());
  }
  return OpenedBlock{std::make_shared<BlockModule>(BlockKind::kCode, std::move(bodies),
                                                   std::vector<Type>{std::move(type)}),
                     std::move(shown)};
}

}  // namespace

std::set<size_t> written_inputs(const OpaqueModule& block) {
  const jit::Method forward = block.script_module().get_method("forward");
  std::set<size_t> inputs;
  const auto graph = jit::toGraphFunction(forward.function()).graph();
  for (const size_t index : tensor_writes(*graph)) {
    if (index > 0 && graph->inputs()[index]->type()->kind() == c10::TypeKind::TensorType) {
      inputs.insert(index - 1);  // the first is self
    }
  }
  return inputs;
}

absl::StatusOr<OpenedBlock> open_block(const OpaqueModule& block, const std::vector<Type>& inputs,
                                       const std::set<size_t>& owned) {
  try {
    return read_block(block, inputs, owned);
  } catch (const c10::Error& error) {
    return absl::UnimplementedError(error.what_without_backtrace());
  } catch (const std::exception& error) {
    return absl::UnimplementedError(error.what());
  }
}

}  // namespace fxq
