// fuse_fx: conv + bn + add + relu and their like become one call each (passes/fuse_rules.h). The
// model stays as it is: the result is a copy that shares the tensors it did not have to change. In
// eval() mode batch norms are folded into the weights; in train() mode they train on, as part of a
// WeightedBnModule ("bn_conv2d").
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"

namespace fxq {

// The API page's name for what fuse_fx returns: every attribute is preserved, always.
using GraphModuleWithAttr = GraphModule;

struct FuseCustomConfig {
  // Modules, tensors and settings (by path or key) that stay even if no call needs them any more.
  std::vector<std::string> preserved_attributes;
};

struct FuseOptions {
  FuseCustomConfig fuse_custom_config;
  // If there are any: the fused graph must give the same results on them, within 1e-4 of the
  // largest value; else Internal, naming the output and the difference.
  const std::vector<c10::IValue>* check_inputs = nullptr;
};

// Why a near miss was not fused stands in the result's notes.
absl::StatusOr<GraphModuleWithAttr> fuse_fx(const GraphModule& model,
                                            const FuseOptions& options = {});

}  // namespace fxq
