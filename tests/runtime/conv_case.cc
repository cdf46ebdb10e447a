// "u8 2x8x9x9 16 k3 s2" -> step, inputs, and the sum over (c, kh, kw) by its definition.
#include "conv_case.h"

#include <atomic>
#include <cmath>
#include <cstring>
#include <map>
#include <random>
#include <thread>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "fxq/runtime/kernel_table.h"
#include "fxq/runtime/storage.h"

namespace fxq {
namespace {

std::vector<int64_t> wide_integers(const HostTensor& t) {
  std::vector<int64_t> values(t.numel());
  for (size_t i = 0; i < values.size(); ++i) {
    if (t.dtype() == DType::kI8) values[i] = t.data<int8_t>()[i];
    if (t.dtype() == DType::kU8) values[i] = t.data<uint8_t>()[i];
    if (t.dtype() == DType::kI16) values[i] = t.data<int16_t>()[i];
  }
  return values;
}

template <typename T>
void fill(HostTensor& t, std::mt19937& random, bool extreme) {
  const int low = std::numeric_limits<T>::min();
  const int high = std::numeric_limits<T>::max();
  std::uniform_int_distribution<int> any(low, high);
  for (T& v : t.mutable_data<T>()) {
    const uint32_t kind = random() % 8;
    v = static_cast<T>(kind == 0 ? low : kind == 1 ? high : any(random));
    if (extreme) v = static_cast<T>(std::is_unsigned_v<T> || kind < 7 ? high : low);
  }
}

HostTensor random_tensor(DType dtype, const std::vector<int64_t>& dims, std::mt19937& random,
                         bool extreme) {
  HostTensor t(dtype, dims);
  if (dtype == DType::kI8) fill<int8_t>(t, random, extreme);
  if (dtype == DType::kU8) fill<uint8_t>(t, random, extreme);
  if (dtype == DType::kI16) fill<int16_t>(t, random, extreme);
  return t;
}

// Extents padded to three spatial axes.
struct Window {
  int64_t in[3] = {1, 1, 1}, kernel[3] = {1, 1, 1}, out[3] = {1, 1, 1};
  int64_t stride[3] = {1, 1, 1}, dilation[3] = {1, 1, 1}, before[3] = {0, 0, 0};
};

Window window_of(const ConvCase& c, std::vector<int64_t>& out_dims) {
  Window w;
  const size_t spatial = c.x.size() - 2;
  for (size_t i = 0; i < spatial; ++i) {
    const size_t axis = 3 - spatial + i;
    w.in[axis] = c.x[2 + i];
    w.kernel[axis] = c.weight[2 + i];
    if (!c.stride.empty()) w.stride[axis] = c.stride[i];
    if (!c.dilation.empty()) w.dilation[axis] = c.dilation[i];
    int64_t after = 0;
    if (!c.padding.empty()) {
      w.before[axis] = c.padding[i];
      after = c.padding.size() > spatial ? c.padding[spatial + i] : c.padding[i];
    }
    const int64_t extent = w.dilation[axis] * (w.kernel[axis] - 1) + 1;
    if (c.kernel == "Conv") {
      w.out[axis] = (w.in[axis] + w.before[axis] + after - extent) / w.stride[axis] + 1;
    } else {
      const int64_t extra = c.output_padding.empty() ? 0 : c.output_padding[i];
      w.out[axis] = (w.in[axis] - 1) * w.stride[axis] - w.before[axis] - after + extent + extra;
    }
    out_dims.push_back(w.out[axis]);
  }
  return w;
}

// Calls pair(input pixel, output pixel, tap) for everything that a window connects.
template <typename Pair>
void connect(const Window& w, bool transposed, const Pair& pair) {
  const int64_t taps = w.kernel[0] * w.kernel[1] * w.kernel[2];
  const int64_t* from = transposed ? w.in : w.out;
  const int64_t* to = transposed ? w.out : w.in;
  for (int64_t f = 0; f < from[0] * from[1] * from[2]; ++f) {
    const int64_t at[3] = {f / (from[1] * from[2]), f / from[2] % from[1], f % from[2]};
    for (int64_t tap = 0; tap < taps; ++tap) {
      const int64_t t[3] = {tap / (w.kernel[1] * w.kernel[2]), tap / w.kernel[2] % w.kernel[1],
                            tap % w.kernel[2]};
      int64_t other = 0;
      bool inside = true;
      for (int axis = 0; axis < 3; ++axis) {
        const int64_t i = at[axis] * w.stride[axis] - w.before[axis] + t[axis] * w.dilation[axis];
        inside = inside && i >= 0 && i < to[axis];
        other = other * to[axis] + i;
      }
      if (inside) transposed ? pair(f, other, tap) : pair(other, f, tap);
    }
  }
}

std::vector<int64_t> conv_sums(const ConvCase& c, const std::vector<HostTensor>& inputs,
                               std::vector<int64_t>& out_dims) {
  const bool transposed = c.kernel == "ConvTranspose";
  const int64_t outputs = transposed ? c.weight[1] * c.groups : c.weight[0];
  out_dims = {c.x[0], outputs};
  const Window w = window_of(c, out_dims);
  const int64_t in_pixels = w.in[0] * w.in[1] * w.in[2];
  const int64_t out_pixels = w.out[0] * w.out[1] * w.out[2];
  const int64_t taps = w.kernel[0] * w.kernel[1] * w.kernel[2];
  const int64_t group_in = c.x[1] / c.groups;
  const int64_t group_out = outputs / c.groups;
  std::vector<int64_t> sums(c.x[0] * outputs * out_pixels);
  const std::vector<int64_t> x = wide_integers(inputs[0]);
  const std::vector<int64_t> weights = wide_integers(inputs[1]);
  connect(w, transposed, [&](int64_t in, int64_t out, int64_t tap) {
    for (int64_t n = 0; n < c.x[0]; ++n) {
      for (int64_t o = 0; o < outputs; ++o) {
        int64_t sum = 0;
        for (int64_t i = 0; i < group_in; ++i) {
          const int64_t channel = o / group_out * group_in + i;
          const int64_t row = transposed ? channel * group_out + o % group_out : o * group_in + i;
          sum += x[(n * c.x[1] + channel) * in_pixels + in] * weights[row * taps + tap];
        }
        sums[(n * outputs + o) * out_pixels + out] += sum;
      }
    }
  });
  return sums;
}

std::vector<int64_t> linear_sums(const ConvCase& c, const std::vector<HostTensor>& inputs,
                                 std::vector<int64_t>& out_dims) {
  out_dims = c.x;
  out_dims.back() = c.weight[0];
  std::vector<int64_t> sums(numel(out_dims));
  const std::vector<int64_t> x = wide_integers(inputs[0]);
  const std::vector<int64_t> weights = wide_integers(inputs[1]);
  for (size_t at = 0; at < sums.size(); ++at) {
    const int64_t row = at / c.weight[0];
    const int64_t o = at % c.weight[0];
    for (int64_t k = 0; k < c.weight[1]; ++k) {
      sums[at] += x[row * c.weight[1] + k] * weights[o * c.weight[1] + k];
    }
  }
  return sums;
}

// bpu-style definition of everything after the sums, one value.
float scaled(const ConvCase& c, int64_t sum, float multiplier, int64_t other, const Step& step) {
  float p = static_cast<float>(sum) * multiplier;
  if (c.has_other) {
    const auto scale = static_cast<float>(std::get<double>(step.attrs.at("other_scale")));
    p = std::fma(scale, static_cast<float>(other), p);
  }
  if (!c.activation.empty()) p = std::max(p, 0.0f);
  if (c.activation == "relu6") {
    p = std::min(p, static_cast<float>(std::get<double>(step.attrs.at("clip_hi"))));
  }
  return p;
}

void put(HostTensor& t, int64_t i, float p) {
  switch (t.dtype()) {
    case DType::kU8:
      t.mutable_data<uint8_t>()[i] =
          static_cast<uint8_t>(std::min(std::max(std::nearbyint(p), 0.0f), 255.0f));
      return;
    case DType::kI8:
      t.mutable_data<int8_t>()[i] = static_cast<int8_t>(
          std::min(std::max(std::nearbyint(p + 128.0f), 0.0f), 255.0f) - 128.0f);
      return;
    case DType::kI16:
      t.mutable_data<int16_t>()[i] =
          static_cast<int16_t>(std::min(std::max(std::nearbyint(p), -32768.0f), 32767.0f));
      return;
    default:
      t.mutable_data<float>()[i] = p;
  }
}

double spread(const std::vector<int64_t>& sums) {
  double squares = 1.0;
  for (const int64_t sum : sums) squares += static_cast<double>(sum) * static_cast<double>(sum);
  return std::sqrt(squares / static_cast<double>(sums.size()));
}

Step make_step(const ConvCase& c) {
  Step step;
  step.kernel = c.kernel;
  step.name = "case";
  step.inputs = {0, 1, 2, c.bias ? 3 : kNoValue, c.has_other ? 4 : kNoValue};
  step.outputs = {5};
  const auto set = [&](const char* name, const std::vector<int64_t>& values) {
    if (!values.empty()) step.attrs[name] = values;
  };
  set("stride", c.stride);
  set("padding", c.padding);
  set("dilation", c.dilation);
  set("output_padding", c.output_padding);
  if (c.groups != 1) step.attrs["groups"] = c.groups;
  step.attrs["dtype"] = std::string(dtype_name(c.output));
  if (!c.activation.empty()) step.attrs["activation"] = c.activation;
  const double range = c.output == DType::kI16 ? 20000 : 100;
  if (c.activation == "relu6") step.attrs["clip_hi"] = range * 0.731;
  if (c.has_other) step.attrs["other_scale"] = 0.37251;
  return step;
}

class Cache : public PackedCache {
 public:
  absl::StatusOr<PackedConstant> get(const std::string& key, const Make& make) override {
    auto found = made_.find(key);
    if (found != made_.end()) return found->second;
    auto result = make();
    if (result.ok()) made_[key] = *result;
    return result;
  }

 private:
  std::map<std::string, PackedConstant> made_;
};

struct Buffer {
  explicit Buffer(size_t bytes) : storage(bytes + 64) {}
  std::byte* data() {
    return reinterpret_cast<std::byte*>((reinterpret_cast<uintptr_t>(storage.data()) + 63) / 64 *
                                        64);
  }
  std::vector<std::byte> storage;
};

absl::Status run_phases(const BoundStep& bound, const BindContext& context, StepBuffers buffers) {
  Buffer shared(context.shared_scratch_bytes);
  buffers.shared_scratch = shared.data();
  absl::Status failure;
  for (int phase = 0; phase < bound.phases(); ++phase) {
    std::atomic<int> next{0};
    const auto work = [&] {
      Buffer scratch(context.worker_scratch_bytes);
      std::memset(scratch.data(), 0xAB, context.worker_scratch_bytes);
      StepBuffers mine = buffers;
      mine.worker_scratch = scratch.data();
      for (int slice = next++; slice < bound.slices(phase); slice = next++) {
        const absl::Status status = bound.run_slice(phase, slice, mine);
        if (!status.ok()) failure = status;
      }
    };
    std::vector<std::thread> workers;
    for (int i = 1; i < context.threads; ++i) workers.emplace_back(work);
    work();
    for (std::thread& worker : workers) worker.join();
  }
  return failure;
}

Desc desc_of(const HostTensor& tensor, size_t index, bool present) {
  Desc desc = tensor_desc(tensor.dtype(), tensor.dims());
  desc.absent = !present;
  if (index >= 1 && index <= 3) desc.constant = &tensor;
  return desc;
}

}  // namespace

std::string ConvCase::describe() const {
  return fmt::format(
      "{} x{}[{}] w[{}] s[{}] p[{}] d[{}] op[{}] g{} -> {} act '{}' bias {} other {}{}", kernel,
      dtype_name(x_type), fmt::join(x, ","), fmt::join(weight, ","), fmt::join(stride, ","),
      fmt::join(padding, ","), fmt::join(dilation, ","), fmt::join(output_padding, ","), groups,
      dtype_name(output), activation, bias, has_other ? dtype_name(other) : "no",
      extreme ? " extreme" : "");
}

std::ostream& operator<<(std::ostream& out, const ConvCase& c) { return out << c.describe(); }

ConvData make_data(const ConvCase& c) {
  std::mt19937 random(7);
  ConvData data;
  data.step = make_step(c);
  data.inputs = {random_tensor(c.x_type, c.x, random, c.extreme),
                 random_tensor(c.weight_type, c.weight, random, c.extreme)};
  std::vector<int64_t> out_dims;
  std::vector<int64_t> sums = c.kernel == "Linear" ? linear_sums(c, data.inputs, out_dims)
                                                   : conv_sums(c, data.inputs, out_dims);
  const size_t channel_axis = c.kernel == "Linear" ? out_dims.size() - 1 : 1;
  const int64_t channels = out_dims[channel_axis];
  const int64_t inner = numel(absl::MakeConstSpan(out_dims).subspan(channel_axis + 1));
  const double size = spread(sums);
  HostTensor multiplier(DType::kF32, {channels});
  HostTensor bias(DType::kI32, {channels});
  for (int64_t o = 0; o < channels; ++o) {
    const double range = c.output == DType::kI16 ? 20000 : 100;
    const double factor = 0.5 + static_cast<double>(random() % 1000) / 1000;
    multiplier.mutable_data<float>()[o] = static_cast<float>(range * factor / size);
    bias.mutable_data<int32_t>()[o] = static_cast<int32_t>(size * (factor - 1.0)) + 3;
  }
  HostTensor other =
      random_tensor(c.other, c.has_other ? out_dims : std::vector<int64_t>{0}, random, false);
  const std::vector<int64_t> others = wide_integers(other);
  data.expected = HostTensor(c.output, out_dims);
  for (size_t i = 0; i < sums.size(); ++i) {
    const int64_t o = static_cast<int64_t>(i) / inner % channels;
    const int64_t sum = sums[i] + (c.bias ? bias.data<int32_t>()[o] : 0);
    const int64_t q = c.has_other ? others[i] : 0;
    put(data.expected, i, scaled(c, sum, multiplier.data<float>()[o], q, data.step));
  }
  data.inputs.insert(data.inputs.end(), {multiplier, bias, other});
  return data;
}

ConvRun run_kernel(const ConvData& data, const ConvRunOptions& options) {
  ConvRun run;
  const Kernel& kernel = *find_kernel(data.step.kernel, 1);
  std::vector<Desc> descs;
  for (size_t i = 0; i < data.inputs.size(); ++i) {
    descs.push_back(desc_of(data.inputs[i], i, data.step.inputs[i] != kNoValue));
  }
  const auto inferred = kernel.infer(data.step, descs);
  run.status = inferred.status();
  if (!run.status.ok()) return run;
  Cache cache;
  BindContext context;
  context.threads = options.threads;
  context.packed = &cache;
  if (options.in_place) context.shared_input = 4;
  const auto bound = kernel.bind(data.step, descs, *inferred, context);
  run.status = bound.status();
  if (!run.status.ok()) return run;
  const Desc& out = inferred->front();
  Buffer x(stored_bytes(descs[0].dtype, descs[0].dims));
  plain_to_stored(descs[0].dtype, descs[0].dims, data.inputs[0].bytes(), x.data());
  Buffer output(stored_bytes(out.dtype, out.dims));
  Buffer other(descs[4].absent ? 0 : stored_bytes(descs[4].dtype, descs[4].dims));
  if (!descs[4].absent) {
    std::byte* to = options.in_place ? output.data() : other.data();
    plain_to_stored(descs[4].dtype, descs[4].dims, data.inputs[4].bytes(), to);
  }
  const std::byte* inputs[] = {x.data(), data.inputs[1].bytes(), data.inputs[2].bytes(),
                               data.inputs[3].bytes(),
                               options.in_place ? output.data() : other.data()};
  std::byte* outputs[] = {output.data()};
  StepBuffers buffers;
  buffers.inputs = inputs;
  buffers.outputs = outputs;
  run.status = run_phases(**bound, context, buffers);
  run.output = HostTensor(out.dtype, out.dims);
  stored_to_plain(out.dtype, out.dims, output.data(), run.output.mutable_bytes());
  run.implementation = (*bound)->implementation();
  run.slices = (*bound)->slices(0);
  return run;
}

int64_t differences(const HostTensor& a, const HostTensor& b) {
  if (a.dims() != b.dims() || a.dtype() != b.dtype()) return std::max<int64_t>(1, a.numel());
  const size_t size = dtype_size(a.dtype());
  int64_t count = 0;
  for (int64_t i = 0; i < a.numel(); ++i) {
    if (a.dtype() == DType::kF32) {
      count += a.data<float>()[i] != b.data<float>()[i];
    } else {
      count += std::memcmp(a.bytes() + i * size, b.bytes() + i * size, size) != 0;
    }
  }
  return count;
}

}  // namespace fxq
