// x.npy, x=a.npy, images/, t.pt -> Dataset -> batches as IValues, in the order of the model's
// inputs.
#include "fxq/cli/feed.h"

#include <ATen/core/Tensor.h>
#include <fmt/format.h>
#include <torch/csrc/jit/serialization/pickle.h>

#include <cmath>
#include <random>

#include "absl/strings/strip.h"
#include "fxq/base/file.h"
#include "fxq/base/status.h"
#include "fxq/data/npy.h"
#include "fxq/graph/tensor_convert.h"

namespace fxq {
namespace {

absl::Status collect(const std::string& path, const std::string& name, const c10::IValue& value,
                     std::vector<NamedTensor>& tensors) {
  if (value.isTensor()) {
    FXQ_ASSIGN_OR_RETURN(HostTensor tensor, to_host_tensor(value.toTensor()));
    tensors.push_back({name, std::move(tensor)});
    return absl::OkStatus();
  }
  if (value.isGenericDict()) {
    for (const auto& entry : value.toGenericDict()) {
      const std::string key = entry.key().isString() ? entry.key().toStringRef() : name;
      FXQ_RETURN_IF_ERROR(collect(path, key, entry.value(), tensors));
    }
    return absl::OkStatus();
  }
  if (value.isTuple() || value.isList()) {
    const bool list = value.isList();
    for (const c10::IValue& item : list ? value.toListRef() : value.toTupleRef().elements()) {
      FXQ_RETURN_IF_ERROR(collect(path, name, item, tensors));
    }
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      fmt::format("{}: holds a {}, needs tensors", path, value.tagKind()));
}

absl::StatusOr<std::vector<NamedTensor>> read_pt(const std::string& path) {
  FXQ_ASSIGN_OR_RETURN(const std::string bytes, read_file(path));
  std::vector<NamedTensor> tensors;
  try {
    const c10::IValue value =
        torch::jit::pickle_load(std::vector<char>(bytes.begin(), bytes.end()));
    FXQ_RETURN_IF_ERROR(collect(path, "", value, tensors));
  } catch (const std::exception&) {
    return absl::InvalidArgumentError(path +
                                      ": LibTorch cannot read this pickle. Save a tensor or a "
                                      "tuple of tensors with torch.save, or "
                                      "arrays with numpy.save / numpy.savez");
  }
  return tensors;
}

// Box-Muller on a fixed generator: the same numbers with every standard library.
class NormalSource {
 public:
  explicit NormalSource(uint64_t seed) : engine_(seed) {}
  float next() {
    constexpr double kPi = 3.14159265358979323846;
    const double radius = std::sqrt(-2.0 * std::log(1.0 - unit()));
    return static_cast<float>(radius * std::cos(2.0 * kPi * unit()));
  }

 private:
  double unit() { return static_cast<double>(engine_() >> 11) * 0x1.0p-53; }
  std::mt19937_64 engine_;
};

template <typename T>
void fill_bits(HostTensor& tensor, NormalSource& source) {
  for (T& value : tensor.mutable_data<T>()) value = static_cast<T>(source.next() > 0.0F);
}

// Normal reals; integers and bools are 0 or 1, which index every table.
HostTensor random_tensor(DType dtype, const std::vector<int64_t>& dims, NormalSource& source) {
  HostTensor tensor(dtype, dims);
  switch (dtype) {
    case DType::kF32:
      for (float& value : tensor.mutable_data<float>()) value = source.next();
      break;
    case DType::kF64:
      for (double& value : tensor.mutable_data<double>()) value = source.next();
      break;
    case DType::kI64:
      fill_bits<int64_t>(tensor, source);
      break;
    case DType::kI32:
      fill_bits<int32_t>(tensor, source);
      break;
    case DType::kBool:
      fill_bits<bool>(tensor, source);
      break;
    default:
      break;
  }
  return tensor;
}

struct ShapeText {
  std::string dims;
  std::optional<DType> dtype;
};

// "3x12:i64"
absl::StatusOr<ShapeText> split_dtype(const std::string& text) {
  const size_t colon = text.find(':');
  if (colon == std::string::npos) return ShapeText{text, std::nullopt};
  const auto dtype = dtype_from_name(text.substr(colon + 1));
  if (dtype) return ShapeText{text.substr(0, colon), dtype};
  return absl::InvalidArgumentError(
      fmt::format("'{}' is no dtype; f32, f64, i64, i32, u8, bool", text.substr(colon + 1)));
}

}  // namespace

absl::StatusOr<Dataset> open_dataset(const FeedRequest& request) {
  DatasetOptions options;
  options.batch = request.batch;
  options.limit = request.limit;
  options.whole = request.whole;
  options.input_names = request.input_names;
  options.pt_reader = read_pt;
  if (!request.preprocess.empty()) {
    FXQ_ASSIGN_OR_RETURN(options.preprocess, parse_preprocess_text(request.preprocess));
  }
  return Dataset::open(request.files, std::move(options));
}

absl::StatusOr<std::vector<int64_t>> parse_shape(const std::string& text) {
  std::vector<int64_t> dims;
  int64_t elements = 1;
  for (size_t start = 0; start <= text.size();) {
    const size_t end = std::min(text.find('x', start), text.size());
    const std::string part = text.substr(start, end - start);
    const bool number = !part.empty() && part.size() < 10 &&
                        part.find_first_not_of("0123456789") == std::string::npos;
    if (!number || std::stoll(part) == 0) {
      return absl::InvalidArgumentError(
          fmt::format("'{}' is no shape; write one as 1x3x224x224, or 1x12:i64", text));
    }
    dims.push_back(std::stoll(part));
    elements *= dims.back();
    if (elements > (int64_t{1} << 32)) {
      return absl::InvalidArgumentError(fmt::format("'{}' is too large", text));
    }
    start = end + 1;
  }
  return dims;
}

std::vector<InputSpec> input_specs(const GraphModule& gm) {
  std::vector<InputSpec> specs;
  for (const Node* node : gm.graph().placeholders()) {
    specs.push_back({node->target(), node->type.dtype.value_or(DType::kF32)});
  }
  return specs;
}

std::vector<InputSpec> input_specs(const std::vector<std::string>& names) {
  std::vector<InputSpec> specs;
  for (const std::string& name : names) specs.push_back({name, DType::kF32});
  return specs;
}

absl::StatusOr<std::vector<NamedTensor>> random_inputs(const std::vector<std::string>& shapes,
                                                       const std::vector<InputSpec>& specs) {
  std::vector<std::string> names;
  for (const InputSpec& spec : specs) names.push_back(spec.name);
  std::vector<NamedTensor> inputs(names.size());
  std::vector<bool> given(names.size(), false);
  NormalSource source(0);
  size_t position = 0;
  for (const std::string& text : shapes) {
    const size_t equals = text.find('=');
    const std::string name = equals == std::string::npos ? "" : text.substr(0, equals);
    size_t index = position++;
    for (size_t i = 0; !name.empty() && i < names.size(); ++i) {
      if (names[i] == name) index = i;
    }
    if (index >= names.size() || (!name.empty() && names[index] != name) || given[index]) {
      return absl::InvalidArgumentError(
          fmt::format("'{}' fits no input; the model has: {}", text, fmt::join(names, ", ")));
    }
    FXQ_ASSIGN_OR_RETURN(const ShapeText shape,
                         split_dtype(text.substr(equals == std::string::npos ? 0 : equals + 1)));
    FXQ_ASSIGN_OR_RETURN(const std::vector<int64_t> dims, parse_shape(shape.dims));
    const DType dtype = shape.dtype.value_or(specs[index].dtype);
    inputs[index] = {names[index], random_tensor(dtype, dims, source)};
    given[index] = true;
  }
  for (size_t i = 0; i < names.size(); ++i) {
    if (given[i]) continue;
    return absl::InvalidArgumentError(
        fmt::format("input '{}' has no shape; say {}=1x3x224x224", names[i], names[i]));
  }
  return inputs;
}

std::vector<std::string> input_names(const GraphModule& gm) {
  std::vector<std::string> names;
  for (const Node* node : gm.graph().placeholders()) names.push_back(node->target());
  return names;
}

std::vector<c10::IValue> to_values(const std::vector<NamedTensor>& inputs) {
  std::vector<c10::IValue> values;
  for (const NamedTensor& input : inputs) values.emplace_back(to_at_tensor(input.tensor));
  return values;
}

std::vector<HostTensor> to_host_tensors(const std::vector<NamedTensor>& inputs) {
  std::vector<HostTensor> tensors;
  for (const NamedTensor& input : inputs) tensors.push_back(input.tensor);
  return tensors;
}

absl::StatusOr<std::vector<HostTensor>> to_host_tensors(const c10::IValue& result,
                                                        std::vector<std::string>* texts) {
  std::vector<HostTensor> tensors;
  auto append = [&](const c10::IValue& item) -> absl::Status {
    FXQ_ASSIGN_OR_RETURN(std::vector<HostTensor> nested, to_host_tensors(item, texts));
    for (HostTensor& tensor : nested) tensors.push_back(std::move(tensor));
    return absl::OkStatus();
  };
  if (result.isTensor()) {
    FXQ_ASSIGN_OR_RETURN(HostTensor tensor, to_host_tensor(result.toTensor()));
    tensors.push_back(std::move(tensor));
  } else if (result.isTuple()) {
    for (const c10::IValue& item : result.toTupleRef().elements())
      FXQ_RETURN_IF_ERROR(append(item));
  } else if (result.isList()) {
    for (const c10::IValue& item : result.toListRef()) FXQ_RETURN_IF_ERROR(append(item));
  } else if (result.isGenericDict()) {
    for (const auto& entry : result.toGenericDict()) FXQ_RETURN_IF_ERROR(append(entry.value()));
  } else if (result.isScalar()) {
    FXQ_RETURN_IF_ERROR(append(number_tensor(result.toScalar())));
  } else if (result.isString()) {
    texts->push_back(result.toStringRef());
  } else if (!result.isNone()) {
    return absl::UnimplementedError("an output is a " + result.tagKind() + ", no tensor");
  }
  return tensors;
}

absl::StatusOr<std::vector<std::string>> write_outputs(const std::vector<HostTensor>& outputs,
                                                       const std::string& path) {
  std::vector<std::string> paths;
  const std::string stem(absl::StripSuffix(path, ".npy"));
  for (size_t i = 0; i < outputs.size(); ++i) {
    paths.push_back(outputs.size() == 1 ? path : fmt::format("{}.{}.npy", stem, i));
    FXQ_RETURN_IF_ERROR(write_npy(paths.back(), outputs[i]));
  }
  return paths;
}

}  // namespace fxq
