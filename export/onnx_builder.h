// OnnxBuilder: a ModelProto under construction: unique value names, nodes in order, initializers.
// Lowerings write through it and see no protobuf. It owns the model until release().
// Names of helper values are "<node>.<Operator>", so every value tells which node it is of.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "fxq/base/host_tensor.h"

namespace onnx {
class GraphProto;
class ModelProto;
}  // namespace onnx

namespace fxq {

using OnnxAttribute =
    std::variant<int64_t, float, std::string, std::vector<int64_t>, std::vector<float>,
                 std::vector<std::string>, std::shared_ptr<const onnx::GraphProto>>;
using OnnxAttributes = std::vector<std::pair<std::string, OnnxAttribute>>;

struct OnnxCall {
  std::string op_type;
  std::vector<std::string> inputs;  // "" stands for a missing optional one
  OnnxAttributes attributes;
  std::string domain;  // "": ONNX's own
};

class OnnxBuilder {
 public:
  explicit OnnxBuilder(int opset);
  ~OnnxBuilder();
  OnnxBuilder(const OnnxBuilder&) = delete;
  OnnxBuilder& operator=(const OnnxBuilder&) = delete;

  int opset() const { return opset_; }

  // -- names
  void reserve(const std::string& name) { taken_.insert(name); }
  std::string unique(const std::string& hint);  // `hint`, or `hint`_1, ...; taken from now on

  // -- nodes; they carry the prefix and the doc_string of the last begin()
  void begin(std::string prefix, std::string doc_string);
  std::string add(std::string op_type, std::vector<std::string> inputs,
                  OnnxAttributes attributes = {});
  std::vector<std::string> add_many(OnnxCall call, size_t outputs);
  // Gives a value that a node since begin() made another name, everywhere. False if none made it.
  bool rename(const std::string& value, const std::string& name);
  void drop_since_begin();                     // takes the nodes back
  bool makes(const std::string& value) const;  // a node of the graph being written does

  // -- subgraphs: nodes go into the one that was opened last and see all values outside of it;
  // constants are the model's
  void open_subgraph(const std::string& name);
  std::shared_ptr<onnx::GraphProto> close_subgraph();  // back to what begin() said before
  onnx::GraphProto& graph();                           // that is being written

  // Other nodes may begin() meanwhile: afterwards all count as one's own.
  struct Place {
    std::string prefix, doc_string;
    int first_of_node = 0;
  };
  Place place() const { return {prefix_, doc_string_, first_of_node_}; }
  void resume(Place place);

  // -- constants
  std::string initializer(const std::string& name, const HostTensor& tensor);  // name made unique
  std::string ints(const std::vector<int64_t>& values);                        // 1-D, int64
  std::string int_scalar(int64_t value);                                       // 0-D, int64
  std::string scalar(DType dtype, double value);                               // 0-D
  std::string floats(const std::vector<float>& values);                        // 1-D

  onnx::ModelProto& model() { return *model_; }
  std::unique_ptr<onnx::ModelProto> release();

 private:
  int opset_;
  std::unique_ptr<onnx::ModelProto> model_;
  std::unordered_set<std::string> taken_;
  std::unordered_set<std::string> node_names_;
  struct Level {
    std::shared_ptr<onnx::GraphProto> graph;
    Place outside;
  };
  std::vector<Level> levels_;
  std::string prefix_ = "graph";
  std::string doc_string_;
  int first_of_node_ = 0;
};

int onnx_element_type(DType dtype);  // TensorProto.DataType as a number

}  // namespace fxq
