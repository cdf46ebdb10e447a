// ys = [a, b]; ys[i] = c, i from data    ->    %copy = aten::copy.t([%a, %b]); %_set_item = ...
// A list or dict whose contents only running knows from here on becomes a node; an empty one, whose
// items do not say its type, a block that makes it.
#include <torch/csrc/jit/ir/ir.h>

#include "absl/strings/ascii.h"
#include "fxq/graph/opaque_module.h"
#include "fxq/tracer/emitter.h"

namespace fxq {
namespace {

namespace jit = torch::jit;

std::shared_ptr<jit::Graph> empty_container(const c10::TypePtr& type) {
  auto graph = std::make_shared<jit::Graph>();
  jit::Node* node = nullptr;
  if (const auto list = type->cast<c10::ListType>()) {
    node = graph->createList(list->getElementType(), {});
  } else {
    const auto& dict = type->expectRef<c10::DictType>();
    node = graph->createDict(dict.getKeyType(), dict.getValueType(), {}, {});
  }
  graph->registerOutput(graph->insertNode(node)->output());
  return graph;
}

std::string copy_of(const Value& container) {
  if (container.is(Value::Kind::kList)) return "aten::copy.t";
  const std::string key = container.type->expectRef<c10::DictType>().getKeyType()->str();
  return "aten::copy.Dict_" + (key == "Tensor" ? key : absl::AsciiStrToLower(key));
}

}  // namespace

ValuePtr Emitter::copy_container(const ValuePtr& container) {
  if (container->items.empty()) {
    const std::string path = gm_.unique_path("opaque_empty");
    gm_.set_module(path,
                   std::make_shared<OpaqueModule>(empty_container(container->type), site.source));
    return call_module(path, {}, container->type);
  }
  const std::string target = copy_of(*container);
  const Callee callee = find_callee(target);
  TORCH_CHECK(callee.schema, "this LibTorch has no ", target);
  return emit(Call{callee.schema, {container}}, {container->type}).at(0);
}

void Emitter::make_unknown(const ValuePtr& container) {
  if (!container->is(Value::Kind::kList) && !container->is(Value::Kind::kDict)) return;
  const ValuePtr node = copy_container(container);
  node->from_data = true;
  for_each_part(container, [&](const ValuePtr& part) { merge_storage(node, part); });
  become(container, node);
}

}  // namespace fxq
