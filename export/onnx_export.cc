// GraphModule -> ModelProto -> bytes -> file
#include "fxq/export/onnx_export.h"

#include <onnx/onnx_pb.h>

#include "fxq/base/file.h"
#include "fxq/base/status.h"
#include "fxq/export/external_data.h"
#include "fxq/export/onnx_model.h"

namespace fxq {
namespace {

absl::StatusOr<ExportSummary> write_model(const GraphModule& model,
                                          const std::vector<c10::IValue>& args,
                                          const std::string& path, const ExportOptions& options) {
  ExportSummary summary;
  FXQ_ASSIGN_OR_RETURN(const std::unique_ptr<onnx::ModelProto> proto,
                       build_onnx_model(model, args, options, summary));
  summary.file_bytes = proto->ByteSizeLong();
  if (summary.file_bytes > options.external_data_threshold) {
    FXQ_RETURN_IF_ERROR(move_to_external_data(*proto, path + ".data"));
    summary.external_data = path + ".data";
  }
  std::string bytes;
  if (!proto->SerializeToString(&bytes)) {
    return absl::InternalError("protobuf could not write the model");
  }
  FXQ_RETURN_IF_ERROR(write_file_atomically(path, bytes));
  return summary;
}

}  // namespace

absl::StatusOr<ExportSummary> export_to_onnx(const GraphModule& model,
                                             const std::vector<c10::IValue>& args,
                                             const std::string& path,
                                             const ExportOptions& options) {
  return write_model(model, args, path, options);
}

absl::StatusOr<ExportSummary> export_to_onnx(const ObservedGraphModule& model,
                                             const std::vector<c10::IValue>& args,
                                             const std::string& path,
                                             const ExportOptions& options) {
  return write_model(model.graph_module(), args, path, options);
}

absl::StatusOr<ExportSummary> export_to_onnx(const QuantizedGraph& model,
                                             const std::vector<c10::IValue>& args,
                                             const std::string& path,
                                             const ExportOptions& options) {
  return write_model(model.graph_module(), args, path, options);
}

}  // namespace fxq
