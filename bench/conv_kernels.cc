// Speed of the convolution kernels on the layers of resnet18 and mobilenet_v2, batch 1:
//   conv_kernels [threads] [repeats]
// One row a layer: best time, GOPS and share of the measured VNNI peak of our step, and GOPS of the
// bare oneDNN primitive (no residual, no padding of ours, 1 thread) beside it.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "dnnl.hpp"
#include "fmt/format.h"
#include "fxq/base/check.h"
#include "fxq/runtime/kernel_table.h"
#include "fxq/runtime/kernels/onednn_call.h"
#include "fxq/runtime/thread_pool.h"
#include "int8_peak.h"

namespace fxq {
namespace {

struct Layer {
  const char* net;
  int times;
  int64_t in, size, out, kernel, stride, groups;
  bool residual = false;
  DType input = DType::kU8;
};

const std::vector<Layer> kLayers = {
    {"resnet18", 1, 3, 224, 64, 7, 2, 1, false, DType::kI8},
    {"resnet18", 2, 64, 56, 64, 3, 1, 1},
    {"resnet18", 2, 64, 56, 64, 3, 1, 1, true},
    {"resnet18", 1, 64, 56, 128, 3, 2, 1},
    {"resnet18", 3, 128, 28, 128, 3, 1, 1},
    {"resnet18", 1, 64, 56, 128, 1, 2, 1},
    {"resnet18", 1, 128, 28, 256, 3, 2, 1},
    {"resnet18", 3, 256, 14, 256, 3, 1, 1},
    {"resnet18", 1, 128, 28, 256, 1, 2, 1},
    {"resnet18", 1, 256, 14, 512, 3, 2, 1},
    {"resnet18", 3, 512, 7, 512, 3, 1, 1},
    {"resnet18", 1, 256, 14, 512, 1, 2, 1},
    {"resnet18", 1, 512, 1, 1000, 1, 1, 1},
    {"mobilenet_v2", 1, 3, 224, 32, 3, 2, 1, false, DType::kI8},
    {"mobilenet_v2", 1, 32, 112, 32, 3, 1, 32},
    {"mobilenet_v2", 1, 32, 112, 16, 1, 1, 1},
    {"mobilenet_v2", 1, 16, 112, 96, 1, 1, 1, false, DType::kI8},
    {"mobilenet_v2", 1, 96, 112, 96, 3, 2, 96},
    {"mobilenet_v2", 1, 96, 56, 24, 1, 1, 1},
    {"mobilenet_v2", 2, 24, 56, 144, 1, 1, 1, false, DType::kI8},
    {"mobilenet_v2", 1, 144, 56, 144, 3, 1, 144},
    {"mobilenet_v2", 1, 144, 56, 24, 1, 1, 1, true},
    {"mobilenet_v2", 3, 32, 28, 192, 1, 1, 1, false, DType::kI8},
    {"mobilenet_v2", 2, 192, 28, 192, 3, 1, 192},
    {"mobilenet_v2", 2, 192, 28, 32, 1, 1, 1, true},
    {"mobilenet_v2", 4, 64, 14, 384, 1, 1, 1, false, DType::kI8},
    {"mobilenet_v2", 4, 384, 14, 384, 3, 1, 384},
    {"mobilenet_v2", 3, 384, 14, 64, 1, 1, 1, true},
    {"mobilenet_v2", 3, 960, 7, 160, 1, 1, 1, true},
    {"mobilenet_v2", 3, 160, 7, 960, 1, 1, 1, false, DType::kI8},
    {"mobilenet_v2", 3, 960, 7, 960, 3, 1, 960},
    {"mobilenet_v2", 1, 320, 7, 1280, 1, 1, 1, false, DType::kI8},
};

double now() {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(since).count();
}

template <typename Run>
double best_of(int repeats, const Run& run) {
  double best = 1e9;
  for (int i = 0; i < repeats; ++i) {
    const double start = now();
    run();
    best = std::min(best, now() - start);
  }
  return best;
}

class Cache : public PackedCache {
 public:
  absl::StatusOr<PackedConstant> get(const std::string& key, const Make& make) override {
    const auto found = made_.find(key);
    return found != made_.end() ? found->second : made_[key] = make().value();
  }

 private:
  std::map<std::string, PackedConstant> made_;
};

using Bytes = std::vector<std::byte, std::allocator<std::byte>>;
std::byte* aligned(Bytes& bytes) {
  return reinterpret_cast<std::byte*>((reinterpret_cast<uintptr_t>(bytes.data()) + 63) / 64 * 64);
}

int64_t pixels_out(const Layer& l) {
  return (l.size + 2 * (l.kernel / 2) - l.kernel) / l.stride + 1;
}

double gops(const Layer& l, double seconds) {
  const double out = static_cast<double>(pixels_out(l));
  const double macs =
      out * out * static_cast<double>(l.out * (l.in / l.groups) * l.kernel * l.kernel);
  return 2 * macs / seconds * 1e-9;
}

struct Measured {
  double seconds;
  double bind_seconds;
  std::string implementation;
  int slices;
};

Measured measure_ours(const Layer& l, ThreadPool& pool, int repeats) {
  Step step;
  step.name = l.net;
  step.inputs = {0, 1, 2, 3, l.residual ? 4 : kNoValue};
  step.outputs = {5};
  const int64_t pad = l.kernel / 2;
  step.attrs = {{"stride", std::vector<int64_t>{l.stride, l.stride}},
                {"padding", std::vector<int64_t>{pad, pad}},
                {"groups", l.groups},
                {"dtype", std::string("u8")},
                {"activation", std::string("relu")},
                {"other_scale", 0.4}};
  HostTensor weight(DType::kI8, {l.out, l.in / l.groups, l.kernel, l.kernel});
  for (int8_t& w : weight.mutable_data<int8_t>()) w = static_cast<int8_t>(std::rand() % 255 - 127);
  HostTensor multiplier(DType::kF32, {l.out});
  for (float& m : multiplier.mutable_data<float>()) m = 0.003f;
  const HostTensor bias(DType::kI32, {l.out});
  std::vector<Desc> descs = {tensor_desc(l.input, {1, l.in, l.size, l.size}),
                             tensor_desc(DType::kI8, weight.dims()),
                             tensor_desc(DType::kF32, {l.out}), tensor_desc(DType::kI32, {l.out}),
                             tensor_desc(DType::kU8, {1, l.out, pixels_out(l), pixels_out(l)})};
  descs[1].constant = &weight;
  descs[2].constant = &multiplier;
  descs[3].constant = &bias;
  descs[4].absent = !l.residual;
  const Kernel& kernel = *find_kernel("Conv", 1);
  const auto outputs = kernel.infer(step, descs);
  FXQ_CHECK(outputs.ok(), outputs.status().ToString());
  Cache cache;
  BindContext context;
  context.threads = pool.threads();
  context.packed = &cache;
  context.shared_input = l.residual ? 4 : -1;
  const double start = now();
  const auto bound = kernel.bind(step, descs, *outputs, context);
  const double bind_seconds = now() - start;
  FXQ_CHECK(bound.ok(), bound.status().ToString());
  Bytes x(l.in * l.size * l.size + 64), y(l.out * pixels_out(l) * pixels_out(l) + 64);
  Bytes shared(context.shared_scratch_bytes + 64);
  std::vector<Bytes> scratch(pool.threads(), Bytes(context.worker_scratch_bytes + 64));
  const std::byte* in[] = {aligned(x), nullptr, nullptr, nullptr, aligned(y)};
  std::byte* out[] = {aligned(y)};
  const BoundStep& ready = **bound;
  const double seconds = best_of(repeats, [&] {
    pool.run(ready.slices(0), [&](int slice, int worker) {
      const absl::Status status =
          ready.run_slice(0, slice, {in, out, aligned(shared), aligned(scratch[worker])});
      FXQ_CHECK(status.ok(), status.ToString());
    });
  });
  return {seconds, bind_seconds, ready.implementation(), ready.slices(0)};
}

double measure_bare(const Layer& l, int repeats) {
  using Type = dnnl::memory::data_type;
  using Tag = dnnl::memory::format_tag;
  const onednn::OneThread one_thread;
  const dnnl::engine& engine = onednn::cpu_engine();
  const int64_t out = pixels_out(l);
  const int64_t pad = l.kernel / 2;
  dnnl::memory::dims weights = {l.out, l.in, l.kernel, l.kernel};
  if (l.groups > 1) weights = {l.groups, l.out / l.groups, l.in / l.groups, l.kernel, l.kernel};
  const dnnl::convolution_forward::desc desc(
      dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct,
      {{1, l.in, l.size, l.size}, Type::u8, Tag::nhwc}, {weights, Type::s8, Tag::any},
      {{l.out}, Type::s32, Tag::x}, {{1, l.out, out, out}, Type::u8, Tag::nhwc},
      {l.stride, l.stride}, {0, 0}, {pad, pad}, {pad, pad});
  dnnl::primitive_attr attr;
  attr.set_output_scales(2, std::vector<float>(l.out, 0.003f));
  const dnnl::convolution_forward::primitive_desc primitive(desc, attr, engine);
  const dnnl::convolution_forward conv(primitive);
  dnnl::stream stream(engine);
  const std::unordered_map<int, dnnl::memory> arguments = {
      {DNNL_ARG_SRC, dnnl::memory(primitive.src_desc(), engine)},
      {DNNL_ARG_WEIGHTS, dnnl::memory(primitive.weights_desc(), engine)},
      {DNNL_ARG_BIAS, dnnl::memory(primitive.bias_desc(), engine)},
      {DNNL_ARG_DST, dnnl::memory(primitive.dst_desc(), engine)}};
  return best_of(repeats, [&] { conv.execute(stream, arguments); });
}

}  // namespace
}  // namespace fxq

int main(int argc, char** argv) {
  using namespace fxq;
  const int threads = argc > 1 ? std::atoi(argv[1]) : 1;
  const int repeats = argc > 2 ? std::atoi(argv[2]) : 50;
  if (threads < 1 || repeats < 1) {
    fmt::print(stderr, "usage: conv_kernels [threads >= 1] [repeats >= 1]\n");
    return 2;
  }
  const double peak = vnni_gops() * threads;
  ThreadPool pool(threads);
  fmt::print("peak {:.0f} GOPS on {} threads\n{:13} {:34} {:>9} {:>6} {:>6} {:>10}  {}\n", peak,
             threads, "net", "layer", "best us", "GOPS", "share", "bare GOPS",
             "implementation, slices");
  std::map<std::string, std::pair<double, double>> totals;  // run, bind
  for (const Layer& l : kLayers) {
    const Measured ours = measure_ours(l, pool, repeats);
    const double bare = measure_bare(l, repeats);
    totals[l.net].first += l.times * ours.seconds;
    totals[l.net].second += l.times * ours.bind_seconds;
    fmt::print(
        "{:13} {:34} {:9.1f} {:6.0f} {:5.0f}% {:10.0f}  {}, {}\n", l.net,
        fmt::format("{}x {}{} {}x{} -> {} k{} s{} g{}{}", l.times, dtype_name(l.input), l.in,
                    l.size, l.size, l.out, l.kernel, l.stride, l.groups, l.residual ? " +res" : ""),
        ours.seconds * 1e6, gops(l, ours.seconds),
        peak > 0 ? 100 * gops(l, ours.seconds) / peak : 0.0, gops(l, bare), ours.implementation,
        ours.slices);
  }
  for (const auto& [net, seconds] : totals) {
    fmt::print("{} in all: {:.3f} ms, bound in {:.1f} ms\n", net, seconds.first * 1e3,
               seconds.second * 1e3);
  }
  return 0;
}
