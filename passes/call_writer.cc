// %n = lstm_cell(%x, ...)    ->    %linear = linear(%x, %w_ih, %b_ih) ... %n = lstm_cell(%x, ...)
#include "fxq/passes/call_writer.h"

#include <ATen/core/Tensor.h>

namespace fxq {

Node* CallWriter::call(OpId op, std::vector<Argument> args, const Type& type) {
  Node* made = gm_.graph().call_op(op, std::move(args));
  made->type = type;
  made->owner = node_->owner;
  made->source = node_->source;
  return made;
}

Node* CallWriter::param(const std::string& name) {
  if (!view_.has_param(name)) return nullptr;
  if (Node* given = view_.param_node(name)) return given;
  const std::string path = gm_.unique_path(node_->target() + "." + name);
  const at::Tensor tensor = view_.param(name);
  gm_.set_tensor(path, tensor);
  Node* made = gm_.graph().get_attr(path);
  made->type = Type::tensor(DType::kF32, tensor.sizes().vec());
  return made;
}

}  // namespace fxq
