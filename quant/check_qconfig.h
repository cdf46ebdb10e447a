// check_qconfig: for every op of a model, as prepare would fuse it, which entry of a qconfig_dict
// gave it its qconfig. For people who wonder why a layer is (not) quantized.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"
#include "fxq/quant/qconfig.h"

namespace fxq {

struct QConfigRow {
  std::string node;
  std::string op;       // "conv2d"
  std::string module;   // the member that decides: "layer1.relu"; of a function, its owner
  std::string rule;     // module_name "layer1"
  std::string qconfig;  // qint8 MseObserver, weight qint8 per channel
};

struct QConfigTable {
  std::vector<QConfigRow> rows;    // in program order
  std::vector<std::string> notes;  // entries that do nothing
  // One line per row, aligned.
  std::string to_string() const;
};

// A float or fused graph. InvalidArgument for names that the model does not have.
absl::StatusOr<QConfigTable> check_qconfig(const GraphModule& model, const QConfigDict& dict);

}  // namespace fxq
