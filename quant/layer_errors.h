// LayerComparison: where a quantized model departs from the float one, value by value, and why.
// Errors are accumulated (of the whole model up to there) or local (of this op's weight and result
// alone, on the float model's inputs). Sums over all batches; between batches it keeps numbers
// only.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"
#include "fxq/quant/observed_graph.h"
#include "fxq/quant/quantized_graph.h"

namespace fxq {

// Sums over pairs of a reference's and a test's elements, in double.
struct ErrorSums {
  double reference = 0, test = 0, product = 0, noise = 0;  // squares but for `product`
  void add(const at::Tensor& a, const at::Tensor& b);
  double sqnr_db() const;  // infinity if there is no noise
  double cosine() const;   // 1 if both are zero
};

// What most of an op's own error comes from: its weights, or the fake quant of its result.
enum class ErrorCause : uint8_t { kNone, kRounding, kClipping, kWeights };
std::string_view cause_name(ErrorCause cause);  // "CLIPPING"

struct LayerError {
  std::string node;
  std::string op;
  std::string module;       // of the module that was called, or whose code made the call
  double fake_sqnr_db = 0;  // fake quantized against float, accumulated
  double int8_sqnr_db = 0;  // integers against float, accumulated
  double local_sqnr_db = 0;
  double weight_sqnr_db = 0;  // local, of its quantized weight alone; infinity without one
  double cosine = 1;          // of integers and float, accumulated
  double max_abs_steps = 0;   // largest |integers - float|, in steps of the result; 0 for floats
  ErrorCause cause = ErrorCause::kNone;
  // Of a weight with one scale: by how much a scale per channel would raise the mean SQNR of its
  // channels; 0 for others.
  double per_tensor_loss_db = 0;
};

class LayerComparison {
 public:
  // `observed` is calibrated; both it and `quantized` have their values under the float graph's
  // names (fused or not). Borrows the float and the integer graph.
  LayerComparison(const GraphModule& floats, const ObservedGraphModule& observed,
                  const QuantizedGraph& quantized);

  absl::Status add(const std::vector<c10::IValue>& inputs);
  std::vector<LayerError> errors() const;  // in program order

 private:
  struct Sums {
    ErrorSums fake, integers, local, weight;
    double rounding = 0, clipping = 0, max_abs = 0;
  };
  LayerError error_of(const Node& node, const Sums& sums) const;

  const GraphModule& floats_;
  const QuantizedGraph& quantized_;
  GraphModule fake_, weights_only_;
  std::map<std::string, Sums> sums_;
};

}  // namespace fxq
