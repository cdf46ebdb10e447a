// Table: y = table[x - smallest x]: any unary function. Input 1: constant [256] for u8 and i8
// inputs,
//        [65536] for i16; its dtype is the output's. Entries are plain integers of that type.
// Prelu: one such table per channel: constant [C, 256], 8-bit only; C = 1 serves all channels.
#include "fxq/base/status.h"
#include "fxq/runtime/kernels/checks.h"
#include "fxq/runtime/kernels/lookup.h"
#include "fxq/runtime/kernels/range_step.h"

namespace fxq {
namespace {

using namespace kernels;  // NOLINT(google-build-using-namespace): this file is one of its members

int64_t entries_of(DType dtype) { return is_wide(dtype) ? 65536 : 256; }

// Entry `i` as it is stored in the output.
template <typename T>
T stored_entry(const HostTensor& table, int64_t i) {
  if constexpr (sizeof(T) == 2) return table.data<int16_t>()[i];
  const auto byte = table.data<uint8_t>()[i];
  return static_cast<T>(byte ^ (table.dtype() == DType::kI8 ? 0x80 : 0));
}

ByteTable byte_table(const HostTensor& tensor, int64_t row) {
  ByteTable table;
  for (int64_t i = 0; i < 256; ++i) table[i] = stored_entry<uint8_t>(tensor, row * 256 + i);
  return table;
}

bool table_inputs(AttrReader& reader, Descs inputs) {
  if (!count_is(reader, inputs, 2, 2) || !is_quantized_tensor(reader, inputs, 0) ||
      !is_quantized_tensor(reader, inputs, 1)) {
    return false;
  }
  if (inputs[1].constant == nullptr) reader.complain("input 1, the table, is not a constant");
  return true;
}

absl::StatusOr<std::vector<Desc>> infer_table(const Step& step, Descs inputs) {
  AttrReader reader(step);
  if (table_inputs(reader, inputs) &&
      inputs[1].dims != std::vector<int64_t>{entries_of(inputs[0].dtype)}) {
    reader.complain(fmt::format("the table is {}, needs {} entries", inputs[1].describe(),
                                entries_of(inputs[0].dtype)));
  }
  FXQ_RETURN_IF_ERROR(reader.status());
  return std::vector<Desc>{tensor_desc(inputs[1].dtype, inputs[0].dims)};
}

template <typename X, typename Y>
std::unique_ptr<BoundStep> plain_table_step(const Desc& input, const HostTensor& tensor,
                                            int threads) {
  std::vector<Y> table;
  for (int64_t i = 0; i < tensor.numel(); ++i) table.push_back(stored_entry<Y>(tensor, i));
  constexpr int first = sizeof(X) == 2 ? -32768 : 0;
  return range_step(
      numel(input.dims), sizeof(X) + sizeof(Y), threads, "own",
      [table = std::move(table)](int64_t begin, int64_t end, const StepBuffers& buffers) {
        const auto* x = reinterpret_cast<const X*>(buffers.inputs[0]);
        auto* y = reinterpret_cast<Y*>(buffers.outputs[0]);
        for (int64_t i = begin; i < end; ++i) y[i] = table[x[i] - first];
      });
}

absl::StatusOr<std::unique_ptr<BoundStep>> bind_table(const Step&, Descs inputs, Descs,
                                                      BindContext& context) {
  const HostTensor& tensor = *inputs[1].constant;
  const bool wide_in = is_wide(inputs[0].dtype);
  const bool wide_out = is_wide(tensor.dtype());
  if (wide_in && wide_out) {
    return plain_table_step<int16_t, int16_t>(inputs[0], tensor, context.threads);
  }
  if (wide_in) return plain_table_step<int16_t, uint8_t>(inputs[0], tensor, context.threads);
  if (wide_out) return plain_table_step<uint8_t, int16_t>(inputs[0], tensor, context.threads);
  return range_step(
      numel(inputs[0].dims), 2, context.threads, look_up_implementation(),
      [table = byte_table(tensor, 0)](int64_t begin, int64_t end, const StepBuffers& buffers) {
        const auto* x = reinterpret_cast<const uint8_t*>(buffers.inputs[0]);
        auto* y = reinterpret_cast<uint8_t*>(buffers.outputs[0]);
        look_up(table, x + begin, y + begin, end - begin);
      });
}

absl::StatusOr<std::vector<Desc>> infer_prelu(const Step& step, Descs inputs) {
  AttrReader reader(step);
  if (table_inputs(reader, inputs)) {
    const std::vector<int64_t>& table = inputs[1].dims;
    const int64_t channels = inputs[0].rank() > 1 ? inputs[0].dims[1] : 1;
    const bool fits =
        table.size() == 2 && table[1] == 256 && (table[0] == channels || table[0] == 1);
    if (!fits || is_wide(inputs[0].dtype) || is_wide(inputs[1].dtype) || inputs[0].rank() > 5) {
      reader.complain(fmt::format("table {} does not fit input {}: needs 8-bit [{},256] or [1,256]",
                                  inputs[1].describe(), inputs[0].describe(), channels));
    }
  }
  FXQ_RETURN_IF_ERROR(reader.status());
  return std::vector<Desc>{tensor_desc(inputs[1].dtype, inputs[0].dims)};
}

absl::StatusOr<std::unique_ptr<BoundStep>> bind_prelu(const Step& step, Descs inputs, Descs outputs,
                                                      BindContext& context) {
  const HostTensor& tensor = *inputs[1].constant;
  const int64_t channels = tensor.dims()[0];
  if (channels == 1) return bind_table(step, inputs, outputs, context);
  // Tables side by side: the one of channel c begins at 256 * c.
  std::vector<uint8_t> tables;
  for (int64_t c = 0; c < channels; ++c) {
    const ByteTable table = byte_table(tensor, c);
    tables.insert(tables.end(), table.begin(), table.end());
  }
  return range_step(numel(inputs[0].dims) / channels, 2 * channels, context.threads, "own",
                    [tables = std::move(tables), channels](int64_t begin, int64_t end,
                                                           const StepBuffers& buffers) {
                      const auto* x = reinterpret_cast<const uint8_t*>(buffers.inputs[0]);
                      auto* y = reinterpret_cast<uint8_t*>(buffers.outputs[0]);
                      for (int64_t pixel = begin; pixel < end; ++pixel) {
                        const int64_t at = pixel * channels;
                        for (int64_t c = 0; c < channels; ++c) {
                          y[at + c] = tables[256 * c + x[at + c]];
                        }
                      }
                    });
}

Sharing share_table(const Step&, Descs inputs, Descs outputs) {
  if (is_wide(inputs[0].dtype) != is_wide(outputs[0].dtype)) return {};
  return {Sharing::Kind::kInPlace, {0}};
}

}  // namespace

Kernel kernel_Table() { return {infer_table, bind_table, share_table, 1}; }
Kernel kernel_Prelu() { return {infer_prelu, bind_prelu, share_table, 1}; }

}  // namespace fxq
