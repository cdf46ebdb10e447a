// "\x93NUMPY" major minor | header length (2 bytes; 4 from version 2 on) | Python dict, padded with
// spaces and ended by '\n' so that the elements start at a multiple of 64 | the elements.
#include "fxq/data/npy.h"

#include <cstring>
#include <limits>
#include <optional>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "fxq/base/file.h"
#include "fxq/base/mapped_file.h"
#include "fxq/base/status.h"
#include "fxq/data/npy_header.h"

namespace fxq {
namespace {

constexpr std::string_view kMagic{"\x93NUMPY", 6};
constexpr size_t kAlignment = 64;

absl::Status damaged(std::string_view what, std::string_view problem) {
  return absl::DataLossError(fmt::format("{}: damaged .npy data: {}", what, problem));
}

uint32_t little_endian(std::string_view bytes) {
  uint32_t value = 0;
  for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

std::string replacement_for(std::string_view descr) {
  const std::string_view kind = descr.substr(descr.empty() ? 0 : 1);
  if (descr == "|O") return "a Python object array; save plain numbers";
  if (descr.empty() || descr[0] == '[') return "a structured array; save one field per file";
  if (descr[0] == '>') {
    return fmt::format("big-endian; save it little-endian: np.save(path, a.astype('<{}'))", kind);
  }
  if (kind == "u2" || kind == "u4") return "an unsigned type that fxq lacks; save it as int64";
  if (kind == "u8") return "an unsigned type that fxq lacks; save it as int64 if it fits";
  if (kind.substr(0, 1) == "c") return "complex; save the real and imaginary parts apart";
  if (kind.substr(0, 1) == "U" || kind.substr(0, 1) == "S") return "text; save numbers";
  return "no type of fxq; save it as float32";
}

absl::StatusOr<DType> dtype_of(std::string_view descr, std::string_view what) {
  std::string normal(descr);
  if (!normal.empty() && normal[0] == '=') normal[0] = '<';
  if (normal.size() == 3 && normal[2] == '1') normal[0] = '|';  // one byte has no order
  const std::optional<DType> dtype = dtype_from_numpy_name(normal);
  if (dtype.has_value()) return *dtype;
  std::vector<std::string_view> known;
  for (int i = 0; i < kDTypeCount; ++i) {
    const std::string_view name = dtype_numpy_name(static_cast<DType>(i));
    if (!name.empty()) known.push_back(name);
  }
  return absl::InvalidArgumentError(fmt::format("{}: element type '{}' is {} (readable: {})", what,
                                                descr, replacement_for(descr),
                                                fmt::join(known, " ")));
}

// Checked even where another dimension is 0, so that no product of dims can overflow later.
bool byte_size_fits(const NpyHeader& header, size_t* size) {
  constexpr uint64_t kMax = std::numeric_limits<int64_t>::max();
  uint64_t product = dtype_size(header.dtype);
  bool empty = false;
  for (int64_t dim : header.dims) {
    const auto count = static_cast<uint64_t>(dim);
    empty = empty || count == 0;
    if (count != 0 && product > kMax / count) return false;
    if (count != 0) product *= count;
  }
  *size = empty ? 0 : static_cast<size_t>(product);
  return true;
}

absl::Status check_bools(const HostTensor& tensor, std::string_view what) {
  if (tensor.dtype() != DType::kBool) return absl::OkStatus();
  const auto* bytes = reinterpret_cast<const uint8_t*>(tensor.bytes());
  for (size_t i = 0; i < tensor.byte_size(); ++i) {
    if (bytes[i] > 1) {
      return damaged(what, fmt::format("boolean {} has the value {}", i, bytes[i]));
    }
  }
  return absl::OkStatus();
}

// Walks the destination in order; the source offset moves by the strides of column-major order.
HostTensor from_fortran_order(const NpyHeader& header, std::string_view elements) {
  HostTensor tensor(header.dtype, header.dims);
  const size_t size = dtype_size(header.dtype);
  const size_t rank = header.dims.size();
  std::vector<size_t> strides(rank, size);
  for (size_t d = 1; d < rank; ++d) strides[d] = strides[d - 1] * header.dims[d - 1];
  std::vector<int64_t> index(rank, 0);
  size_t source = 0;
  std::byte* out = tensor.mutable_bytes();
  for (int64_t i = tensor.numel(); i > 0; --i, out += size) {
    std::memcpy(out, elements.data() + source, size);
    for (size_t d = rank; d-- > 0;) {
      source += strides[d];
      if (++index[d] < header.dims[d]) break;
      source -= strides[d] * header.dims[d];
      index[d] = 0;
    }
  }
  return tensor;
}

HostTensor from_c_order(const NpyHeader& header, std::string_view elements,
                        std::shared_ptr<const void> owner) {
  const bool aligned = reinterpret_cast<uintptr_t>(elements.data()) % dtype_size(header.dtype) == 0;
  if (aligned && owner != nullptr && !elements.empty()) {
    auto* bytes = reinterpret_cast<std::byte*>(const_cast<char*>(elements.data()));
    return HostTensor(header.dtype, header.dims, bytes, std::move(owner));
  }
  HostTensor tensor(header.dtype, header.dims);
  if (!elements.empty()) std::memcpy(tensor.mutable_bytes(), elements.data(), elements.size());
  return tensor;
}

}  // namespace

absl::StatusOr<NpyHeader> parse_npy_header(std::string_view bytes, std::string_view what) {
  if (bytes.substr(0, kMagic.size()) != kMagic) {
    return absl::InvalidArgumentError(
        fmt::format("{}: not a .npy file: it does not start with \\x93NUMPY", what));
  }
  if (bytes.size() < 10) return damaged(what, "it ends within the first 10 bytes");
  const int version = bytes[6];
  if (version < 1 || version > 3) {
    return damaged(what, fmt::format("format version {}, known are 1, 2, 3", version));
  }
  const size_t length_size = version == 1 ? 2 : 4;
  const size_t text_begin = 8 + length_size;
  if (bytes.size() < text_begin) return damaged(what, "it ends within the header's length");
  const size_t length = little_endian(bytes.substr(8, length_size));
  if (length > bytes.size() - text_begin) {
    return damaged(what, fmt::format("the header needs {} bytes, {} are there", length,
                                     bytes.size() - text_begin));
  }
  absl::StatusOr<NpyDict> dict = parse_npy_dict(bytes.substr(text_begin, length));
  if (!dict.ok()) return damaged(what, std::string(dict.status().message()));
  NpyHeader header;
  FXQ_ASSIGN_OR_RETURN(header.dtype, dtype_of(dict->descr, what));
  header.dims = std::move(dict->shape);
  header.fortran_order = dict->fortran_order;
  header.data_offset = text_begin + length;
  return header;
}

absl::StatusOr<HostTensor> parse_npy(std::string_view bytes, std::string_view what,
                                     std::shared_ptr<const void> owner) {
  FXQ_ASSIGN_OR_RETURN(const NpyHeader header, parse_npy_header(bytes, what));
  const std::string_view elements = bytes.substr(header.data_offset);
  size_t needed = 0;
  if (!byte_size_fits(header, &needed)) {
    return damaged(
        what, fmt::format("shape ({}) is larger than any memory", fmt::join(header.dims, ", ")));
  }
  if (needed != elements.size()) {
    return damaged(what,
                   fmt::format("{}[{}] needs {} bytes, {} are there", dtype_name(header.dtype),
                               fmt::join(header.dims, ","), needed, elements.size()));
  }
  HostTensor tensor = header.fortran_order && header.dims.size() > 1
                          ? from_fortran_order(header, elements)
                          : from_c_order(header, elements, std::move(owner));
  FXQ_RETURN_IF_ERROR(check_bools(tensor, what));
  return tensor;
}

absl::StatusOr<HostTensor> read_npy(const std::string& path) {
  FXQ_ASSIGN_OR_RETURN(std::shared_ptr<const MappedFile> file, MappedFile::open(path));
  return parse_npy(file->text(), path, file);
}

absl::StatusOr<std::string> encode_npy_header(const HostTensor& tensor) {
  const std::string_view descr = dtype_numpy_name(tensor.dtype());
  if (descr.empty()) {
    return absl::InvalidArgumentError(fmt::format(
        "NumPy has no type for {}; convert the tensor to f32", dtype_name(tensor.dtype())));
  }
  const std::string_view comma = tensor.dims().size() == 1 ? "," : "";
  std::string text = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}",
                                 descr, fmt::join(tensor.dims(), ", "), comma);
  // 64 dimensions of 19 digits fit version 1's 65,535 bytes, so no other version is written.
  const size_t unpadded = kMagic.size() + 4 + text.size() + 1;
  text.append((kAlignment - unpadded % kAlignment) % kAlignment, ' ');
  text.push_back('\n');
  std::string header(kMagic);
  header += {1, 0, static_cast<char>(text.size() & 0xff), static_cast<char>(text.size() >> 8)};
  return header + text;
}

absl::Status write_npy(const std::string& path, const HostTensor& tensor) {
  absl::StatusOr<std::string> header = encode_npy_header(tensor);
  if (!header.ok()) {
    return absl::Status(
        header.status().code(),
        fmt::format("cannot write {}: {}", path, std::string(header.status().message())));
  }
  const std::string_view elements{reinterpret_cast<const char*>(tensor.bytes()),
                                  tensor.byte_size()};
  return write_file_atomically(path, {*header, elements});
}

}  // namespace fxq
