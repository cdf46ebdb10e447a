// export_to_onnx: a float graph becomes a float ONNX model; a QuantizedGraph becomes a QDQ model:
// QuantizeLinear and DequantizeLinear around every integer value. A prepared graph goes out as its
// VALIDATION state runs it: a QuantizeLinear and DequantizeLinear for every FakeQuantize, integer
// weights, float biases, batch norms folded. Names stay: value "<node>" is the float value of our
// node, "<node>_q" its integers, initializers have the modules' paths.
// The model is not changed. A file appears only when it is complete.
#pragma once

#include <ATen/core/ivalue.h>

#include <cstdint>
#include <iosfwd>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"
#include "fxq/quant/observed_graph.h"
#include "fxq/quant/quantized_graph.h"

namespace fxq {

inline constexpr int kOldestOpset = 11;
int newest_opset();  // of the onnx library that fxq is linked with

enum class TrainingMode { kEval, kPreserve, kTraining };

// What becomes of an op that ONNX lacks: kOnnx refuses and lists all of them; kOnnxFallthrough
// writes a node of domain "aten" with the op's name; the ATEN forms write org.pytorch.aten's ATen
// nodes, for every ATen op or for those alone that ONNX lacks.
enum class OperatorExportTypes { kOnnx, kOnnxFallthrough, kOnnxAten, kOnnxAtenFallback };

// Integers of a quantized graph. kQDQ: QuantizeLinear and DequantizeLinear around float operators,
// which runtimes fuse. kQOperator: QLinearConv, QLinearMatMul and MatMulInteger for convolutions,
// linears and matmuls of 8 bits, Q/DQ elsewhere.
enum class QuantFormat { kQDQ, kQOperator };

// kExact: what is added to a convolution's result is added to its float sums, as the integer graph
// does (OpenVINO and TensorRT fuse that). kOrt: the convolution is quantized to 8 bits before the
// add, so that ONNX Runtime runs both in integers: faster there, up to (s_conv + s_y) / (2 s_y)
// steps beside the integer graph at such an add, s_conv being s_y + s_added.
enum class ExportProfile { kExact, kOrt };

// Axis -> symbol: {{0, "N"}, {2, "H"}}; or axes alone: {0, 2}, each with a symbol of its own.
struct AxisNames : std::map<int64_t, std::string> {
  using map::map;
  AxisNames(std::initializer_list<int64_t> axes) {
    for (const int64_t axis : axes) emplace(axis, "");
  }
};
// Of inputs and outputs by name: {"x", {{0, "N"}}}.
using DynamicAxes = std::map<std::string, AxisNames>;

struct ExportOptions {
  bool export_params = true;  // false: parameters become inputs
  bool verbose = false;       // print the model's nodes to stdout; add doc_strings to them
  TrainingMode training = TrainingMode::kEval;
  std::vector<std::string> input_names;   // in order; missing ones keep ours
  std::vector<std::string> output_names;  // in order, lists and dicts flattened
  OperatorExportTypes operator_export_type = OperatorExportTypes::kOnnxFallthrough;
  int opset_version = 11;  // kOldestOpset to newest_opset()
  bool do_constant_folding = true;
  bool strip_doc_string = true;  // false: doc_string tells the source line
  DynamicAxes dynamic_axes;
  // What the model gives for `args`. Checked, if there are any: number, dtypes and sizes.
  std::vector<c10::IValue> example_outputs;
  std::optional<bool> keep_initializers_as_inputs;
  std::map<std::string, int> custom_opsets;       // domain -> version; 1 if a used one is missing
  bool enable_onnx_checker = false;               // onnx's checker and strict shape inference
  QuantFormat quant_format = QuantFormat::kQDQ;   // of quantized graphs
  ExportProfile profile = ExportProfile::kExact;  // of quantized graphs
  // Domain of QuantizeLinear and DequantizeLinear on 16-bit integers below opset 21, from which on
  // ONNX has them. Not set: "com.microsoft", ONNX Runtime's own, with a warning in the summary. "":
  // int16 is refused.
  std::optional<std::string> int16_domain;
  // A model of more bytes than this keeps its weights in a second file, `path` + ".data", beside
  // it.
  size_t external_data_threshold = size_t{2000} << 20;
};

struct ExportSummary {
  struct Value {
    std::string name;
    std::string type;            // "f32[N,3,224,224]"
    std::string dtype;           // "f32"
    std::vector<int64_t> sizes;  // -1: symbolic or unknown
  };
  std::vector<Value> inputs, outputs;
  int opset_version = 0;
  bool is_quantized = false;  // an integer graph
  bool is_prepared = false;   // fake quantization: calibrated or trained, not converted yet
  std::map<std::string, int> operators;  // "Conv" -> 20; other domains "aten.special_i0e"
  size_t initializer_bytes = 0;
  size_t file_bytes = 0;      // with the external data
  std::string external_data;  // the second file; "" if there is none
  // Ops that were written as they are, with reason codes: "%y (aten::special_i0e): no-onnx-op".
  std::vector<std::string> fallthrough;
  std::vector<std::string> warnings;  // what users of the file should know
};

// Where a model goes: a path, or a stream that stays the caller's (and holds no external data).
class ExportTarget {
 public:
  ExportTarget(std::string path) : path_(std::move(path)) {}  // NOLINT: a path is a target
  ExportTarget(const char* path) : path_(path) {}             // NOLINT
  ExportTarget(std::ostream& stream) : stream_(&stream) {}    // NOLINT
  const std::string& path() const { return path_; }
  std::ostream* stream() const { return stream_; }

 private:
  std::string path_;
  std::ostream* stream_ = nullptr;
};

// `args` are example inputs: they give shapes and dtypes. One per placeholder, or, the last being a
// dict, the rest by name; an input that is not named is None. What is no tensor becomes a constant.
// Empty: the types of the graph's placeholders are used, whose unknown dims and symbols become
// dynamic axes; inputs of unknown type get theirs from the first conv or linear that reads them,
// f32[N,3,H,W], with sizes that the model runs with (the summary tells which).
// InvalidArgument: names, shapes, opset, options that contradict each other, all at once.
// Unimplemented: lists all nodes that cannot be exported.
absl::StatusOr<ExportSummary> export_to_onnx(const GraphModule& model,
                                             const std::vector<c10::IValue>& args,
                                             const ExportTarget& target,
                                             const ExportOptions& options = {});
// FailedPrecondition lists the fake quants that never saw data.
absl::StatusOr<ExportSummary> export_to_onnx(const ObservedGraphModule& model,
                                             const std::vector<c10::IValue>& args,
                                             const ExportTarget& target,
                                             const ExportOptions& options = {});
absl::StatusOr<ExportSummary> export_to_onnx(const QuantizedGraph& model,
                                             const std::vector<c10::IValue>& args,
                                             const ExportTarget& target,
                                             const ExportOptions& options = {});

// A tensor or a tuple as `args`.
std::vector<c10::IValue> export_args(const c10::IValue& value);
template <typename Model, typename Value,
          typename = std::enable_if_t<std::is_same_v<Value, at::Tensor> ||
                                      std::is_same_v<Value, c10::IValue>>>
absl::StatusOr<ExportSummary> export_to_onnx(const Model& model, const Value& args,
                                             const ExportTarget& target,
                                             const ExportOptions& options = {}) {
  return export_to_onnx(model, export_args(args), target, options);
}

// dynamic_axes with axis 0 of every tensor input as "N". Runs the model on `args` with two batch
// sizes; empty if it does not run with the second: something bakes the batch size in.
DynamicAxes dynamic_batch_axes(const GraphModule& model, const std::vector<c10::IValue>& args);

}  // namespace fxq
