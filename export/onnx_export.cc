// GraphModule -> ModelProto -> bytes -> file
#include "fxq/export/onnx_export.h"

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include <ostream>

#include "fxq/base/file.h"
#include "fxq/base/status.h"
#include "fxq/export/external_data.h"
#include "fxq/export/onnx_model.h"

namespace fxq {
namespace {

absl::Status write_stream(const std::string& bytes, std::ostream& stream) {
  stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (stream.flush()) return absl::OkStatus();
  return absl::UnavailableError("export_to_onnx: the stream took no more bytes");
}

absl::StatusOr<ExportSummary> write_model(const GraphModule& model,
                                          const std::vector<c10::IValue>& args,
                                          const ExportTarget& target,
                                          const ExportOptions& options) {
  ExportSummary summary;
  FXQ_ASSIGN_OR_RETURN(const std::unique_ptr<onnx::ModelProto> proto,
                       build_onnx_model(model, args, options, summary));
  summary.file_bytes = proto->ByteSizeLong();
  if (summary.file_bytes > options.external_data_threshold) {
    if (target.stream()) {
      return absl::InvalidArgumentError(fmt::format(
          "export_to_onnx: the model has {} bytes, more than external_data_threshold ({}), so its "
          "weights go into a second file: give a path instead of a stream",
          summary.file_bytes, options.external_data_threshold));
    }
    summary.external_data = target.path() + ".data";
    FXQ_RETURN_IF_ERROR(move_to_external_data(*proto, summary.external_data));
  }
  std::string bytes;
  if (!proto->SerializeToString(&bytes)) {
    return absl::InternalError("protobuf could not write the model");
  }
  FXQ_RETURN_IF_ERROR(target.stream() ? write_stream(bytes, *target.stream())
                                      : write_file_atomically(target.path(), bytes));
  return summary;
}

}  // namespace

absl::StatusOr<ExportSummary> export_to_onnx(const GraphModule& model,
                                             const std::vector<c10::IValue>& args,
                                             const ExportTarget& target,
                                             const ExportOptions& options) {
  return write_model(model, args, target, options);
}

absl::StatusOr<ExportSummary> export_to_onnx(const ObservedGraphModule& model,
                                             const std::vector<c10::IValue>& args,
                                             const ExportTarget& target,
                                             const ExportOptions& options) {
  return write_model(model.graph_module(), args, target, options);
}

absl::StatusOr<ExportSummary> export_to_onnx(const QuantizedGraph& model,
                                             const std::vector<c10::IValue>& args,
                                             const ExportTarget& target,
                                             const ExportOptions& options) {
  return write_model(model.graph_module(), args, target, options);
}

std::vector<c10::IValue> export_args(const c10::IValue& value) {
  if (value.isTuple()) return value.toTupleRef().elements().vec();
  return {value};
}

}  // namespace fxq
