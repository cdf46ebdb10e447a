// Exporter: a model on its way to ONNX and what each node became in it. The lowerings (lowering/)
// read their call through OpView, add ONNX nodes and end with finish(), which adds the epilogue
// and, for integer results, QuantizeLinear and DequantizeLinear: one lowering serves float and QDQ.
// Borrows graph, options and builder.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fxq/export/onnx_builder.h"
#include "fxq/export/onnx_export.h"
#include "fxq/export/onnx_value.h"
#include "fxq/graph/view.h"

namespace fxq {

// Integers in the file and how they stand for reals: names of three values.
struct OnnxIntegers {
  std::string value, scale, zero_point;
  DType dtype = DType::kU8;
};

inline constexpr int kInt16Opset = 21;
inline constexpr const char* kMicrosoftDomain = "com.microsoft";

class Exporter {
 public:
  Exporter(const GraphModule& gm, const ExportOptions& options, OnnxBuilder& builder)
      : gm_(gm), options_(options), builder_(builder), made_(std::make_shared<Made>()) {}
  // Of a block's body: what was made outside is known inside.
  Exporter(const Exporter& outer, const GraphModule& body)
      : gm_(body), options_(outer.options_), builder_(outer.builder_), made_(outer.made_) {}

  const GraphModule& graph_module() const { return gm_; }
  const ExportOptions& options() const { return options_; }
  OnnxBuilder& builder() { return builder_; }
  int opset() const { return builder_.opset(); }

  // -- what nodes became
  void set(const Node* node, OnnxValue value) { values_[node] = std::move(value); }
  const OnnxValue& value(const Node* node) const { return values_.at(node); }
  // Of an argument: a node's, or a constant.
  absl::StatusOr<OnnxValue> value_of(const Argument& argument);
  // The node as one tensor: floats, where it holds integers that stand for reals.
  absl::StatusOr<std::string> tensor(const Node* node);
  absl::StatusOr<std::string> operand(const OpView& view, size_t i = 0);

  // -- parameters: "" if the call has none of that name
  absl::StatusOr<std::string> param(const OpView& view, std::string_view name);
  // An initializer "path", one per path and tensor; several paths of a tied tensor share one.
  absl::StatusOr<std::string> initializer(const std::string& path, const at::Tensor& tensor);
  // An initializer of a tensor that was computed for the export; nothing is shared.
  absl::StatusOr<std::string> derived(const std::string& path, const at::Tensor& tensor);

  // All initializers of both kinds.
  const std::set<std::string>& parameters() const { return made_->parameters; }

  // -- sizes
  absl::StatusOr<OnnxValue> ints(const Argument& argument);
  std::string int_tensor(const OnnxValue& value);   // 0-D for kInt, 1-D for kInts
  std::string int_list(const OnnxValue& value);     // always 1-D
  std::string bool_tensor(const OnnxValue& value);  // 0-D

  // -- results
  // y = activation(value + add), quantized if the node's type is; named as the node.
  absl::Status finish(const OpView& view, std::string value);
  // min(max(value, 0), 6) in front of the QuantizeLinear of `type`, if it has one.
  std::string relu6(const Type& type, const std::string& value);
  // Integers "<name>_q" of a float value, and back: returns their floats, named `name`. qint8 goes
  // out as uint8 with zero point 128.
  absl::StatusOr<std::string> quantize(const std::string& value, const Type& type,
                                       const std::string& name);
  // How the file stores a type: scale and zero point, no value yet.
  absl::StatusOr<OnnxIntegers> storage(const Type& type);
  // Gives integers that a node made the name "<name>_q"; returns their floats, named `name`.
  absl::StatusOr<std::string> adopt(OnnxIntegers integers, const std::string& name);
  // The integers that a float value is made of; null if it is none of those.
  const OnnxIntegers* integers(const std::string& floats) const;
  // Floats of an integer value.
  absl::StatusOr<std::string> dequantize(const std::string& integers, const Type& type,
                                         const std::string& name);
  // Domain of the (de)quantize operators for a dtype: for int16 below opset 21 the options', else
  // ONNX Runtime's with a warning. Unimplemented if the options want standard ONNX.
  absl::StatusOr<std::string> quantize_domain(DType dtype);

  // What users of the file should know, each once.
  const std::set<std::string>& warnings() const { return made_->warnings; }

 private:
  absl::StatusOr<std::string> epilogue(const Node& node, std::string value);

  const GraphModule& gm_;
  const ExportOptions& options_;
  OnnxBuilder& builder_;
  std::unordered_map<const Node*, OnnxValue> values_;
  // In the whole model.
  struct Made {
    std::map<std::pair<const void*, std::string>, std::string> initializers;
    std::unordered_map<std::string, OnnxIntegers> integers;
    std::set<std::string> parameters, warnings;
  };
  std::shared_ptr<Made> made_;
};

// The dtype that ONNX sees: f32 for integers that stand for reals and for unknown types.
DType element_type(const Type& type);
// Whether the call behaves as in training: its own flag, else the graph's mode.
bool in_training(const Exporter& exporter, const OpView& view);

}  // namespace fxq
