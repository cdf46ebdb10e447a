// The small passes that fit in a page each, one per .cc file of the same name.
#pragma once

#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"

namespace fxq {

// Removes calls and get_attrs that nobody uses and whose removal nobody can notice (is_impure);
// placeholders stay. Modules and tensors that no node names any more go too.
absl::StatusOr<bool> dce(GraphModule& gm);

// Removes ops that do nothing at inference: identity, contiguous, detach, clone, dropout in eval.
// What writes into its operand, or is written into, keeps its clone.
absl::StatusOr<bool> remove_identity(GraphModule& gm);

// Turns guards into lines of GraphModule::guards, and removes what only they read: nothing checks
// them any more.
absl::StatusOr<bool> drop_guards(GraphModule& gm);

// Merges calls that are sure to compute the same value: pure, same callee, same arguments.
absl::StatusOr<bool> cse(GraphModule& gm);

// Computes pure calls whose inputs are all get_attrs of buffers or constants.
absl::StatusOr<bool> constant_fold(GraphModule& gm);

// The same, of parameters too, in eval mode: weight_norm and the like become plain weights. Results
// that are larger than what they are made of stay computed.
absl::StatusOr<bool> fold_parameters(GraphModule& gm);

// x * self.k -> x * 0.5 where k is a float tensor of no dimensions (eval mode): a number, as in the
// tables of operators. Of tensors whose types are known.
absl::StatusOr<bool> scalar_parameters(GraphModule& gm);

// torch's fused transformer kernels (what nn.MultiheadAttention and nn.TransformerEncoderLayer call
// in eval mode) become linear, matmul, softmax and layer_norm, which quantize and export. Self
// attention without masks and without its weights as a result; all else stays.
absl::StatusOr<bool> open_attention(GraphModule& gm);

// torch's lstm_cell (nn.LSTMCell) becomes linear, add, chunk, sigmoid, tanh and mul. Cells whose
// results are not read one by one stay.
absl::StatusOr<bool> open_lstm_cell(GraphModule& gm);

// F.conv2d(x, self.w) -> a module of its own at a new path: functional ops with parameters of the
// op table whose parameters are get_attrs become OpModules, and modules that get one passed hold
// it.
absl::StatusOr<bool> modularize(GraphModule& gm);

}  // namespace fxq
