// Fused: y = sat_u8(rint(act(fma(other_scale, q_other, (sum + bias) * multiplier)) + shift)), which
// oneDNN calls output scales, sum, eltwise and destination zero point. Sums: s32, no attribute.
#include "fxq/runtime/kernels/onednn_conv.h"

#include <utility>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "fxq/base/status.h"
#include "fxq/runtime/kernels/onednn_call.h"

namespace fxq::conv {
namespace {

using Type = dnnl::memory::data_type;
using Tag = dnnl::memory::format_tag;
using Dims = dnnl::memory::dims;

// oneDNN's spelling of a geometry: 2-d unless there is a depth.
struct Shapes {
  Dims source, weights, output, stride, dilation, pad_before, pad_after;
  Tag activations = Tag::nhwc;
  Tag plain_weights = Tag::oihw;
};

Shapes shapes_of(const ConvGeometry& g) {
  Shapes s;
  const bool deep = g.in[0] > 1 || g.out[0] > 1 || g.kernel[0] > 1;
  s.source = {g.batch, g.in_channels};
  s.output = {g.batch, g.out_channels};
  s.weights = {g.out_channels, g.group_inputs()};
  if (g.groups > 1) s.weights = {g.groups, g.group_outputs(), g.group_inputs()};
  for (int axis = deep ? 0 : 1; axis < 3; ++axis) {
    s.source.push_back(g.in[axis]);
    s.output.push_back(g.out[axis]);
    s.weights.push_back(g.kernel[axis]);
    s.stride.push_back(g.stride[axis]);
    s.dilation.push_back(g.dilation[axis] - 1);
    s.pad_before.push_back(g.pad_before[axis]);
    s.pad_after.push_back(g.pad_after[axis] - g.output_padding[axis]);
  }
  if (deep) s.activations = Tag::ndhwc;
  if (g.groups > 1) {
    s.plain_weights = deep ? Tag::goidhw : Tag::goihw;
  } else {
    s.plain_weights = deep ? Tag::oidhw : Tag::oihw;
  }
  return s;
}

Type output_type(const OneDnnConvSpec& spec) {
  if (spec.epilogue == nullptr) return Type::s32;
  return spec.epilogue->output == DType::kF32 ? Type::f32 : Type::u8;
}

dnnl::primitive_attr attributes_of(const OneDnnConvSpec& spec) {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (spec.source_zero_point != 0) attr.set_zero_points(DNNL_ARG_SRC, 0, {spec.source_zero_point});
  const Epilogue* epilogue = spec.epilogue;
  if (epilogue == nullptr) return attr;
  attr.set_output_scales(1 << 1, {spec.multiplier.begin(), spec.multiplier.end()});
  dnnl::post_ops post;
  if (epilogue->has_other) {
    post.append_sum(epilogue->other_scale, epilogue->other == DType::kI8 ? 128 : 0, Type::u8);
  }
  if (epilogue->high < std::numeric_limits<float>::infinity()) {
    post.append_eltwise(1.0f, dnnl::algorithm::eltwise_clip, epilogue->low, epilogue->high);
  } else if (epilogue->clamps()) {
    post.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
  }
  attr.set_post_ops(post);
  if (epilogue->output == DType::kI8) attr.set_zero_points(DNNL_ARG_DST, 0, {128});
  return attr;
}

// A layout's identity: two descriptions of one text can share packed weights.
std::string layout_key(const dnnl::memory::desc& desc) {
  const dnnl_memory_desc_t& d = desc.data;
  const auto& b = d.format_desc.blocking;
  return fmt::format("{}|{}|{}|{}|{:x}", fmt::join(d.padded_dims, d.padded_dims + d.ndims, ","),
                     fmt::join(b.strides, b.strides + d.ndims, ","),
                     fmt::join(b.inner_blks, b.inner_blks + b.inner_nblks, ","),
                     fmt::join(b.inner_idxs, b.inner_idxs + b.inner_nblks, ","), d.extra.flags);
}

struct Chosen {
  dnnl::primitive primitive;
  dnnl::memory::desc weights;
  dnnl::memory::desc scratchpad;
  std::string implementation;
};

template <typename Forward>
Chosen choose(dnnl::algorithm algorithm, const Shapes& s, Type type, bool with_bias,
              const dnnl::primitive_attr& attr) {
  const dnnl::memory::desc source(s.source, Type::u8, s.activations);
  const dnnl::memory::desc weights(s.weights, Type::s8, Tag::any);
  const dnnl::memory::desc bias =
      with_bias ? dnnl::memory::desc({s.output[1]}, Type::s32, Tag::x) : dnnl::memory::desc();
  const dnnl::memory::desc output(s.output, type, s.activations);
  const typename Forward::desc desc(dnnl::prop_kind::forward_inference, algorithm, source, weights,
                                    bias, output, s.stride, s.dilation, s.pad_before, s.pad_after);
  const typename Forward::primitive_desc primitive(desc, attr, onednn::cpu_engine());
  return {Forward(primitive), primitive.weights_desc(), primitive.scratchpad_desc(),
          primitive.impl_info_str()};
}

PackedConstant pack(const Shapes& s, const dnnl::memory::desc& layout,
                    std::vector<int8_t> weights) {
  const dnnl::memory plain(dnnl::memory::desc(s.weights, Type::s8, s.plain_weights),
                           onednn::cpu_engine(), weights.data());
  auto packed = std::make_shared<dnnl::memory>(layout, onednn::cpu_engine());
  dnnl::stream stream(onednn::cpu_engine());
  dnnl::reorder(plain, *packed).execute(stream, const_cast<dnnl::memory&>(plain), *packed);
  stream.wait();
  return {packed, layout.get_size()};
}

}  // namespace

struct OneDnnConv::State {
  Chosen chosen;
  std::vector<int32_t> bias;
  std::shared_ptr<const dnnl::memory> weights;
  std::unique_ptr<onednn::CallPool> calls;
};

absl::StatusOr<std::shared_ptr<const OneDnnConv>> OneDnnConv::create(const OneDnnConvSpec& spec,
                                                                     const std::string& key,
                                                                     const Weights& weights,
                                                                     PackedCache& cache) try {
  const onednn::OneThread one_thread;
  const Shapes shapes = shapes_of(spec.geometry);
  const bool with_bias = spec.epilogue != nullptr;
  const dnnl::primitive_attr attr = attributes_of(spec);
  auto state = std::make_unique<State>();
  state->chosen =
      spec.geometry.transposed
          ? choose<dnnl::deconvolution_forward>(dnnl::algorithm::deconvolution_direct, shapes,
                                                output_type(spec), with_bias, attr)
          : choose<dnnl::convolution_forward>(dnnl::algorithm::convolution_direct, shapes,
                                              output_type(spec), with_bias, attr);
  const Chosen& chosen = state->chosen;
  // "ref" runs 100 times slower, and its gemm is meant for other layouts.
  if (chosen.implementation.find("ref") != std::string::npos ||
      chosen.implementation.find("gemm") != std::string::npos) {
    return absl::UnimplementedError("oneDNN has only " + chosen.implementation);
  }
  FXQ_ASSIGN_OR_RETURN(const PackedConstant packed,
                       cache.get(fmt::format("{} {}", key, layout_key(chosen.weights)),
                                 [&]() -> absl::StatusOr<PackedConstant> {
                                   return pack(shapes, chosen.weights, weights());
                                 }));
  state->weights = std::static_pointer_cast<const dnnl::memory>(packed.data);
  state->bias.assign(spec.bias.begin(), spec.bias.end());
  std::vector<onednn::Argument> arguments = {
      {DNNL_ARG_SRC, {shapes.source, Type::u8, shapes.activations}},
      {DNNL_ARG_DST, {shapes.output, output_type(spec), shapes.activations}},
      {DNNL_ARG_SCRATCHPAD, chosen.scratchpad},
      {DNNL_ARG_WEIGHTS, chosen.weights}};
  if (with_bias) arguments.push_back({DNNL_ARG_BIAS, {{shapes.output[1]}, Type::s32, Tag::x}});
  state->calls = std::make_unique<onednn::CallPool>(chosen.primitive, std::move(arguments));
  return std::shared_ptr<const OneDnnConv>(new OneDnnConv(std::move(state)));
} catch (const dnnl::error& error) {
  return absl::UnimplementedError(fmt::format("oneDNN has no such convolution ({})", error.what()));
}

OneDnnConv::OneDnnConv(std::unique_ptr<State> state) : state_(std::move(state)) {}
OneDnnConv::~OneDnnConv() = default;

absl::Status OneDnnConv::run(const std::byte* source, std::byte* output, std::byte* scratch) const {
  // oneDNN's interface is not const-correct; it writes to output and scratch only.
  void* const pointers[] = {const_cast<std::byte*>(source), output, scratch,
                            state_->weights->get_data_handle(),
                            const_cast<int32_t*>(state_->bias.data())};
  return state_->calls->run(absl::MakeConstSpan(pointers, state_->bias.empty() ? 4 : 5));
}

size_t OneDnnConv::scratch_bytes() const { return state_->chosen.scratchpad.get_size(); }
const std::string& OneDnnConv::implementation() const { return state_->chosen.implementation; }

}  // namespace fxq::conv
