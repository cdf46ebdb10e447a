// Large models: initializers move out of the ONNX file into one beside it (ONNX's "external
// data"), because protobuf holds at most 2 GiB.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace onnx {
class ModelProto;
}

namespace fxq {

// Writes the bytes of all initializers of at least 1 KiB to `path`, each at a multiple of 4096, and
// makes the model refer to them there by the file's own name.
absl::Status move_to_external_data(onnx::ModelProto& model, const std::string& path);

}  // namespace fxq
