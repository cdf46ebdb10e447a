// QConfigDict as JSON, for config files. One object:
//   {"": QCONFIG, "module_type": [["Conv2d", QCONFIG], ...], "module_name": [["fc", null], ...],
//    "module_qconfig": [...], "any_member": [...]}    null: not quantized; paths may be globs
//    ("head.*")
// QCONFIG: the arguments of get_default_qat_qconfig by name ("dtype", "weight_dtype",
// "activation_fake_quant", "weight_fake_quant", "activation_qkwargs", "weight_qkwargs", "backend"),
// "observer" (short for activation_qkwargs.observer) and "activation": null (the out qconfig).
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"
#include "fxq/quant/qconfig.h"

namespace fxq {

struct QConfigJsonOptions {
  bool qat = false;  // what is left out is get_default_qat_qconfig's, else the calibration one's
  std::string observer;  // of activations, where the JSON names none; "": the default one
};

// InvalidArgument lists everything that is wrong, unknown keys with the nearest known one. Without
// a
// "" key the global qconfig is the default one; null there means none.
absl::StatusOr<QConfigDict> qconfig_dict_from_json(std::string_view json,
                                                   const QConfigJsonOptions& options = {});
// Indented; reading it gives the same qconfigs.
std::string to_json(const QConfigDict& dict);

// Replaces each path with * (any characters, dots too) or ? by the paths in the model that match,
// fused-away modules included. InvalidArgument lists the globs that match nothing.
absl::Status expand_globs(const GraphModule& gm, QConfigDict& dict);

}  // namespace fxq
