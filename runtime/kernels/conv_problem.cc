// step + descriptors -> ConvProblem, or one error that names everything wrong with the step.
#include "fxq/runtime/kernels/conv_problem.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "fxq/base/status.h"
#include "fxq/runtime/attr_reader.h"
#include "fxq/runtime/storage.h"

namespace fxq::conv {
namespace {

constexpr int64_t kMaxAttr = 1 << 16;  // keeps every product of the geometry far from overflow
constexpr const char* kInputNames[] = {"x", "weight", "multiplier", "bias", "other"};

bool is_byte(DType dtype) { return dtype == DType::kU8 || dtype == DType::kI8; }

const HostTensor* constant(AttrReader& reader, Descs inputs, size_t index, bool optional,
                           std::initializer_list<DType> types) {
  if (index >= inputs.size() || inputs[index].absent) {
    if (!optional) reader.complain(fmt::format("input {} is missing", kInputNames[index]));
    return nullptr;
  }
  const Desc& desc = inputs[index];
  if (desc.kind != ValueKind::kTensor || desc.constant == nullptr) {
    reader.complain(fmt::format("input {} must be a constant tensor", kInputNames[index]));
    return nullptr;
  }
  if (std::find(types.begin(), types.end(), desc.dtype) == types.end()) {
    reader.complain(
        fmt::format("input {} has a wrong type: {}", kInputNames[index], desc.describe()));
    return nullptr;
  }
  return desc.constant;
}

// False after a complaint that makes further reading pointless.
bool read_tensors(AttrReader& reader, Descs inputs, ConvProblem& problem) {
  if (inputs.empty() || inputs[kX].absent || inputs[kX].kind != ValueKind::kTensor) {
    reader.complain("input x is missing");
    return false;
  }
  if (inputs.size() > 5) reader.complain(fmt::format("{} inputs instead of 3 to 5", inputs.size()));
  const Desc& x = inputs[kX];
  if (x.constant != nullptr || !(is_byte(x.dtype) || x.dtype == DType::kI16)) {
    reader.complain(
        fmt::format("input x must be a computed u8, i8 or i16 tensor, not {}", x.describe()));
    return false;
  }
  problem.input = x.dtype;
  problem.x_dims = x.dims;
  problem.weight = constant(reader, inputs, kWeight, false, {DType::kI8, DType::kI16});
  problem.multiplier = constant(reader, inputs, kMultiplier, false, {DType::kF32});
  problem.bias = constant(reader, inputs, kBias, true, {DType::kI32});
  return problem.weight != nullptr;
}

void check_per_channel(AttrReader& reader, const HostTensor* tensor, const char* name,
                       int64_t channels) {
  if (tensor != nullptr && tensor->dims() != std::vector<int64_t>{channels}) {
    reader.complain(fmt::format("input {} is {} but there are {} channels", name,
                                tensor->describe(), channels));
  }
}

void read_output_type(AttrReader& reader, ConvProblem& problem) {
  const std::string name = reader.text("dtype", std::string(dtype_name(problem.input)));
  const std::optional<DType> dtype = dtype_from_name(name);
  const bool known = dtype && (is_byte(*dtype) || *dtype == DType::kI16 || *dtype == DType::kF32);
  if (known) {
    problem.epilogue.output = *dtype;
  } else {
    reader.complain(fmt::format("attribute dtype = '{}' is none of u8, i8, i16, f32", name));
  }
}

void read_activation(AttrReader& reader, ConvProblem& problem) {
  const std::string activation = reader.text("activation", "");
  if (activation == "relu" || activation == "relu6") problem.epilogue.low = 0.0f;
  if (activation == "relu6") {
    problem.epilogue.high = static_cast<float>(reader.scale("clip_hi"));
  } else if (!activation.empty() && activation != "relu") {
    reader.complain(
        fmt::format("attribute activation = '{}' is none of '', relu, relu6", activation));
  }
}

void read_other(AttrReader& reader, Descs inputs, ConvProblem& problem) {
  if (inputs.size() <= kOther || inputs[kOther].absent) return;
  const Desc& other = inputs[kOther];
  Epilogue& epilogue = problem.epilogue;
  const bool same_width =
      other.dtype == epilogue.output || (is_byte(other.dtype) && is_byte(epilogue.output));
  if (other.kind != ValueKind::kTensor || other.constant != nullptr || !same_width ||
      epilogue.output == DType::kF32 || other.dims != problem.out_dims) {
    reader.complain(fmt::format("input other is {} but the output is {}[{}]", other.describe(),
                                dtype_name(epilogue.output), fmt::join(problem.out_dims, ",")));
    return;
  }
  epilogue.has_other = true;
  epilogue.other = other.dtype;
  epilogue.other_scale = static_cast<float>(reader.scale("other_scale"));
}

// An attribute with one entry a spatial axis, right-aligned to depth, height, width.
Axes read_axes(AttrReader& reader, const char* name, int spatial, int64_t otherwise,
               int64_t least) {
  Axes axes = {otherwise, otherwise, otherwise};
  const std::vector<int64_t> values =
      reader.integers(name, std::vector<int64_t>(spatial, otherwise));
  if (values.size() != static_cast<size_t>(spatial) ||
      std::any_of(values.begin(), values.end(),
                  [&](int64_t v) { return v < least || v > kMaxAttr; })) {
    reader.complain(fmt::format("attribute {} = [{}] needs {} numbers from {} to {}", name,
                                fmt::join(values, ", "), spatial, least, kMaxAttr));
    return axes;
  }
  std::copy(values.begin(), values.end(), axes.end() - spatial);
  return axes;
}

void read_padding(AttrReader& reader, int spatial, ConvGeometry& g) {
  std::vector<int64_t> values = reader.integers("padding", std::vector<int64_t>(spatial, 0));
  if (values.size() == static_cast<size_t>(spatial)) {
    values.insert(values.end(), values.begin(), values.begin() + spatial);
  }
  if (values.size() != 2 * static_cast<size_t>(spatial) ||
      std::any_of(values.begin(), values.end(), [](int64_t v) { return v < 0 || v > kMaxAttr; })) {
    reader.complain(fmt::format("attribute padding needs {} or {} numbers from 0 to {}", spatial,
                                2 * spatial, kMaxAttr));
    return;
  }
  std::copy_n(values.begin(), spatial, g.pad_before.end() - spatial);
  std::copy_n(values.begin() + spatial, spatial, g.pad_after.end() - spatial);
}

void read_window(AttrReader& reader, int spatial, ConvGeometry& g) {
  g.stride = read_axes(reader, "stride", spatial, 1, 1);
  g.dilation = read_axes(reader, "dilation", spatial, 1, 1);
  if (g.transposed) g.output_padding = read_axes(reader, "output_padding", spatial, 0, 0);
  read_padding(reader, spatial, g);
  g.groups = reader.integer("groups", 1);
  if (g.groups < 1 || g.groups > kMaxAttr) {
    reader.complain(fmt::format("attribute groups = {} is out of range", g.groups));
    g.groups = 1;
  }
}

// Channels and extents from the shapes of x and weight.
void read_shapes(AttrReader& reader, const ConvProblem& problem, int spatial, ConvGeometry& g) {
  const std::vector<int64_t>& x = problem.x_dims;
  const std::vector<int64_t>& w = problem.weight->dims();
  g.batch = x[0];
  g.in_channels = x[1];
  g.out_channels = g.transposed ? w[1] * g.groups : w[0];
  std::copy_n(x.begin() + 2, spatial, g.in.end() - spatial);
  std::copy_n(w.begin() + 2, spatial, g.kernel.end() - spatial);
  const int64_t expected = g.transposed ? w[0] : w[1] * g.groups;
  if (g.in_channels != expected || g.out_channels % g.groups != 0 ||
      g.in_channels % g.groups != 0) {
    reader.complain(fmt::format("x [{}], weight [{}] and groups = {} do not fit", fmt::join(x, ","),
                                fmt::join(w, ","), g.groups));
  }
  if (std::any_of(w.begin(), w.end(), [](int64_t d) { return d < 1; }) ||
      std::any_of(x.begin() + 1, x.end(), [](int64_t d) { return d < 1; })) {
    reader.complain("an extent is 0");
  }
}

}  // namespace

absl::StatusOr<ConvProblem> read_conv(const Step& step, Descs inputs, bool transposed) {
  AttrReader reader(step);
  ConvProblem problem;
  ConvGeometry& g = problem.geometry;
  g.transposed = transposed;
  if (!read_tensors(reader, inputs, problem)) return reader.status();
  const size_t rank = problem.x_dims.size();
  if (rank < 3 || rank > 5 || problem.weight->dims().size() != rank) {
    reader.complain(fmt::format("x and weight need one rank from 3 to 5, not {} and {}", rank,
                                problem.weight->dims().size()));
    return reader.status();
  }
  const int spatial = static_cast<int>(rank) - 2;
  read_window(reader, spatial, g);
  read_shapes(reader, problem, spatial, g);
  read_output_type(reader, problem);
  read_activation(reader, problem);
  check_per_channel(reader, problem.multiplier, "multiplier", g.out_channels);
  check_per_channel(reader, problem.bias, "bias", g.out_channels);
  FXQ_RETURN_IF_ERROR(reader.status());
  if (const absl::Status fits = infer_output(g); !fits.ok()) {
    reader.complain(std::string(fits.message()));
    return reader.status();
  }
  problem.out_dims = {g.batch, g.out_channels};
  problem.out_dims.insert(problem.out_dims.end(), g.out.end() - spatial, g.out.end());
  read_other(reader, inputs, problem);
  problem.channels_first_output = problem.epilogue.output == DType::kF32 && g.out_pixels() > 1;
  FXQ_RETURN_IF_ERROR(reader.status());
  return problem;
}

absl::StatusOr<ConvProblem> read_linear(const Step& step, Descs inputs) {
  AttrReader reader(step);
  ConvProblem problem;
  ConvGeometry& g = problem.geometry;
  if (!read_tensors(reader, inputs, problem)) return reader.status();
  const std::vector<int64_t>& x = problem.x_dims;
  const std::vector<int64_t>& w = problem.weight->dims();
  if (x.empty() || w.size() != 2 || x.back() != w[1] || w[0] < 1 || w[1] < 1) {
    reader.complain(
        fmt::format("x [{}] and weight [{}] do not fit", fmt::join(x, ","), fmt::join(w, ",")));
    return reader.status();
  }
  g.in_channels = w[1];
  g.out_channels = w[0];
  g.in[2] = g.out[2] = numel(x) / w[1];
  problem.out_dims = x;
  problem.out_dims.back() = w[0];
  check_per_channel(reader, problem.multiplier, "multiplier", g.out_channels);
  check_per_channel(reader, problem.bias, "bias", g.out_channels);
  read_output_type(reader, problem);
  read_activation(reader, problem);
  read_other(reader, inputs, problem);
  problem.transpose_input = stored_channels_last(problem.input, x.size());
  problem.transpose_output = stored_channels_last(problem.epilogue.output, x.size());
  FXQ_RETURN_IF_ERROR(reader.status());
  return problem;
}

std::string ConvProblem::weight_key() const {
  return fmt::format("{} {} groups {}", geometry.transposed ? "transposed" : "weight",
                     static_cast<const void*>(weight), geometry.groups);
}

}  // namespace fxq::conv
