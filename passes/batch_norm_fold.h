// The arithmetic of a batch norm behind a weighted op: its factors, and the weights that take it
// in. Pure functions; the modules they are given do not change.
#pragma once

#include <ATen/core/TensorBody.h>

#include <memory>

#include "fxq/graph/graph_module.h"
#include "fxq/graph/op_module.h"

namespace fxq {

struct BatchNormFacts {
  at::Tensor mean, var;    // f32[C]
  at::Tensor gamma, beta;  // f32[C], or undefined
  double eps = 1e-5;
};
// Of a module with running statistics.
BatchNormFacts batch_norm_facts(const OpModule& bn);

// W * gamma / sqrt(var + eps), (b - mean) * gamma / sqrt(var + eps) + beta: in double, rounded once
// to W's dtype. Trains if `weighted` does. Its own tensors are not written; others are shared.
std::shared_ptr<OpModule> fold_into(const OpModule& weighted, const BatchNormFacts& bn);

// A frozen batch norm keeps its statistics in training mode too (attribute training=false).
void set_batch_norm_frozen(OpModule& bn, bool on);

// Output channels of a weighted op: of a transposed convolution, those of all groups.
int64_t output_channels(const OpModule& weighted);
// One value per output channel, shaped so that it broadcasts over the op's weight.
at::Tensor over_weight(const OpModule& weighted, const at::Tensor& per_output);

// WeightedBnModules become plain weighted ops with the norm folded in, as at inference. True if
// there were any.
bool fold_batch_norm_modules(GraphModule& gm);

}  // namespace fxq
