// initializer {raw_data: 25 MB}  ->  {data_location: EXTERNAL, location: "m.onnx.data", offset,
// length}
#include "fxq/export/external_data.h"

#include <onnx/onnx_pb.h>

#include <filesystem>

#include "fxq/base/file.h"

namespace fxq {
namespace {

constexpr size_t kSmallest = 1024;
constexpr size_t kAlignment = 4096;  // pages: runtimes map the file

void set_entry(onnx::TensorProto& tensor, const char* key, const std::string& value) {
  onnx::StringStringEntryProto* entry = tensor.add_external_data();
  entry->set_key(key);
  entry->set_value(value);
}

}  // namespace

absl::Status move_to_external_data(onnx::ModelProto& model, const std::string& path) {
  const std::string name = std::filesystem::path(path).filename().string();
  std::string bytes;
  for (onnx::TensorProto& tensor : *model.mutable_graph()->mutable_initializer()) {
    const std::string& data = tensor.raw_data();
    if (data.size() < kSmallest) continue;
    bytes.resize((bytes.size() + kAlignment - 1) / kAlignment * kAlignment);
    set_entry(tensor, "location", name);
    set_entry(tensor, "offset", std::to_string(bytes.size()));
    set_entry(tensor, "length", std::to_string(data.size()));
    tensor.set_data_location(onnx::TensorProto::EXTERNAL);
    bytes += data;
    tensor.clear_raw_data();
  }
  return write_file_atomically(path, bytes);
}

}  // namespace fxq
