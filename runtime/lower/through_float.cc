// %y = softmax(%x), integers   ->   Dequantize, aten, Quantize
// %y = matmul(%a, %b)          ->   Dequantize (scale 1) to doubles, aten, times the multiplier,
//                                   rounding as a convolution's, Quantize (scale 1)
#include "fxq/quant/reference_kernels/through_float.h"

#include <fmt/format.h>

#include "fxq/base/status.h"
#include "fxq/graph/tensor_convert.h"
#include "fxq/runtime/lower/family.h"
#include "fxq/runtime/lower/lowering.h"

namespace fxq {
namespace {

// While it lives, the node's integer inputs stand for floats.
class FloatInputs {
 public:
  FloatInputs(Lowering& lowering, const Node& node) : lowering_(lowering), node_(node) {}
  ~FloatInputs() {
    for (auto& [input, tree] : saved_) lowering_.set(input, std::move(tree));
  }
  FloatInputs(const FloatInputs&) = delete;
  FloatInputs& operator=(const FloatInputs&) = delete;

  // `integers`: the integers themselves, as floats or doubles of that dtype.
  absl::Status set(bool integers, DType dtype) {
    for (const Node* input : node_.inputs()) {
      if (!input->type.is_quantized()) continue;
      FXQ_ASSIGN_OR_RETURN(const ValueId value, lowering_.value(input));
      saved_.emplace_back(input, lowering_.tree(input));
      ValueId floats = new_value(*input, DType::kF32);
      Step& step = lowering_.step("Dequantize", node_, {value}, {floats});
      step.attrs["scale"] = integers ? 1.0 : static_cast<double>(input->type.qparams->scale);
      if (dtype != DType::kF32) floats = to_dtype(*input, floats, dtype);
      OutputTree tree;
      tree.value = floats;
      lowering_.set(input, std::move(tree));
    }
    return absl::OkStatus();
  }

 private:
  ValueId new_value(const Node& input, DType dtype) {
    Type type = input.type;
    type.qparams.reset();
    type.dtype = dtype;
    return lowering_.tensor_value(type, node_.name() + "." + input.name());
  }

  ValueId to_dtype(const Node& input, ValueId value, DType dtype) {
    const ValueId converted = new_value(input, dtype);
    Step& step = lowering_.step("aten", node_, {value}, {converted});
    step.attrs["schema"] = std::string(op_def(OpId::kToDtype).overloads[0]);
    step.attrs["args"] =
        fmt::format(R"([{{"input":0}},{},false,false,null])", scalar_type_number(dtype));
    return converted;
  }

  Lowering& lowering_;
  const Node& node_;
  std::vector<std::pair<const Node*, OutputTree>> saved_;
};

Type as_floats(Type type, DType dtype) {
  for (Type& element : type.elements) element = as_floats(std::move(element), dtype);
  if (!type.is_quantized()) return type;
  type.qparams.reset();
  type.dtype = dtype;
  return type;
}

ValueId quantize(Lowering& lowering, const Node& node, ValueId floats, const Type& type,
                 double scale) {
  const std::string name = lowering.program().values[static_cast<size_t>(floats)].name;
  lowering.program().values[static_cast<size_t>(floats)].name += ".float";
  const ValueId result = lowering.tensor_value(type, name);
  Step& step = lowering.step("Quantize", node, {floats}, {result});
  step.attrs["dtype"] = dtype_text(type);
  step.attrs["scale"] = scale;
  return result;
}

// The values that have integers in the type.
void quantize_tree(Lowering& lowering, const Node& node, OutputTree& tree, const Type& type) {
  if (tree.kind == OutputTree::Kind::kValue && type.is_quantized()) {
    tree.value =
        quantize(lowering, node, tree.value, type, static_cast<double>(type.qparams->scale));
  }
  for (size_t i = 0; i < tree.children.size() && i < type.elements.size(); ++i) {
    quantize_tree(lowering, node, tree.children[i], type.elements[i]);
  }
}

// Float arithmetic on one value: p = op(p, args...)
class Chain {
 public:
  Chain(Lowering& lowering, const Node& node, ValueId value)
      : lowering_(lowering), node_(node), value_(value) {}
  Chain& then(const std::string& schema, const std::string& args) {
    Type type = node_.type;
    type.qparams.reset();
    type.dtype = DType::kF32;
    const ValueId next = lowering_.tensor_value(type, node_.name());
    Step& step = lowering_.step("aten", node_, {value_}, {next});
    step.attrs["schema"] = schema;
    step.attrs["args"] = fmt::format(R"([{{"input":0}}{}])", args);
    value_ = next;
    return *this;
  }
  ValueId value() const { return value_; }

 private:
  Lowering& lowering_;
  const Node& node_;
  ValueId value_;
};

absl::Status lower_contraction(Lowering& lowering, const OpView& view) {
  const Node& node = *view.node();
  FloatInputs inputs(lowering, node);
  FXQ_RETURN_IF_ERROR(inputs.set(/*integers=*/true, DType::kF64));
  Type sums = node.type;
  sums.qparams.reset();
  sums.dtype = DType::kF64;
  FXQ_RETURN_IF_ERROR(lower_float(lowering, node, &sums));
  FXQ_ASSIGN_OR_RETURN(const ValueId exact, lowering.value(&node));
  Chain p(lowering, node, exact);
  p.then("aten::to.dtype", fmt::format(",{},false,false,null", scalar_type_number(DType::kF32)))
      .then("aten::mul.Scalar",
            fmt::format(",{:.17g}", static_cast<double>(contraction_multiplier(view))));
  OutputTree tree;
  tree.value = p.value();
  if (node.type.is_quantized()) {
    if (node.type.dtype == DType::kI8) {  // sat_u8(rint(p + 128)) - 128
      p.then("aten::add.Scalar", ",128,1")
          .then("aten::round", "")
          .then("aten::clamp", ",0,255")
          .then("aten::sub.Scalar", ",128,1");
    }
    tree.value = quantize(lowering, node, p.value(), node.type, 1.0);
  }
  lowering.set(&node, std::move(tree));
  return absl::OkStatus();
}

}  // namespace

absl::Status lower_through_float(Lowering& lowering, const OpView& view) {
  if (view.def().contracts) return lower_contraction(lowering, view);
  const Node& node = *view.node();
  FloatInputs inputs(lowering, node);
  FXQ_RETURN_IF_ERROR(inputs.set(/*integers=*/false, DType::kF32));
  const Type floats = as_floats(node.type, DType::kF32);
  FXQ_RETURN_IF_ERROR(lower_float(lowering, node, &floats));
  OutputTree tree = lowering.tree(&node);
  quantize_tree(lowering, node, tree, node.type);
  lowering.set(&node, std::move(tree));
  return absl::OkStatus();
}

}  // namespace fxq
