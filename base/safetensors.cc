// file = u64 header length, header, data. The header opens with a fixed text, so that its hash
// stands at a fixed offset; the hash is taken with its own 16 digits as '0' and covers the length
// too:
//   {"__metadata__":{"fxq.header_xxh3":"0123456789abcdef","fxq.version":"1","fxq.xxh3":"{...}",
//   ...},
//    "name":{"dtype":"I8","shape":[2],"data_offsets":[0,2]}, ...}   + spaces up to a multiple of 64
#include "fxq/base/safetensors.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "fmt/format.h"
#include "fxq/base/file.h"
#include "fxq/base/mapped_file.h"
#include "fxq/base/status.h"
#include "nlohmann/json.hpp"
#include "xxhash.h"

namespace fxq {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kOpening = R"({"__metadata__":{"fxq.header_xxh3":")";
constexpr std::string_view kNoHash = "0000000000000000";
constexpr size_t kLengthBytes = 8;
constexpr size_t kHashOffset = kLengthBytes + kOpening.size();
constexpr size_t kHeaderAlignment = 64;
constexpr std::string_view kOurKeys = "fxq.";

std::string hash_text(const void* bytes, size_t size) {
  return fmt::format("{:016x}", XXH3_64bits(bytes, size));
}

uint64_t load_u64(const std::byte* bytes) {
  uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

using Entry = std::pair<const std::string, HostTensor>;

// Wide elements first: every tensor then lies at a multiple of its element size without holes,
// which other readers of the format refuse.
std::vector<const Entry*> in_file_order(const Artifact& artifact) {
  std::vector<const Entry*> order;
  for (const Entry& entry : artifact.tensors) order.push_back(&entry);
  std::stable_sort(order.begin(), order.end(), [](const Entry* a, const Entry* b) {
    return dtype_size(a->second.dtype()) > dtype_size(b->second.dtype());
  });
  return order;
}

absl::Status check_names(const Artifact& artifact) {
  for (const auto& [key, text] : artifact.metadata) {
    if (key.compare(0, kOurKeys.size(), kOurKeys) == 0) {
      return absl::InvalidArgumentError(
          fmt::format("metadata key \"{}\": keys that begin with fxq. are the file's own", key));
    }
  }
  if (artifact.tensors.count("__metadata__") != 0) {
    return absl::InvalidArgumentError("a tensor cannot be named __metadata__");
  }
  return absl::OkStatus();
}

Json header_json(const Artifact& artifact, const std::vector<const Entry*>& order) {
  Json metadata;
  metadata["fxq.header_xxh3"] = kNoHash;
  metadata["fxq.version"] = std::to_string(kArtifactVersion);
  Json hashes = Json::object();
  Json tensors = Json::object();
  size_t offset = 0;
  for (const Entry* entry : order) {
    const HostTensor& tensor = entry->second;
    const size_t end = offset + tensor.byte_size();
    hashes[entry->first] = hash_text(tensor.bytes(), tensor.byte_size());
    tensors[entry->first] = {{"dtype", dtype_file_name(tensor.dtype())},
                             {"shape", tensor.dims()},
                             {"data_offsets", {offset, end}}};
    offset = end;
  }
  metadata["fxq.xxh3"] = hashes.dump();
  for (const auto& [key, text] : artifact.metadata) metadata[key] = text;
  Json header;
  header["__metadata__"] = std::move(metadata);
  for (auto& [name, tensor] : tensors.items()) header[name] = std::move(tensor);
  return header;
}

// Length, header, padding; hashed.
absl::StatusOr<std::string> encode_header(const Artifact& artifact,
                                          const std::vector<const Entry*>& order) {
  FXQ_RETURN_IF_ERROR(check_names(artifact));
  std::string text;
  try {
    text = header_json(artifact, order).dump();
  } catch (const Json::exception& error) {
    return absl::InvalidArgumentError(
        fmt::format("names and metadata must be UTF-8: {}", error.what()));
  }
  text.resize(
      (kLengthBytes + text.size() + kHeaderAlignment - 1) / kHeaderAlignment * kHeaderAlignment -
          kLengthBytes,
      ' ');
  std::string result(kLengthBytes, '\0');
  for (size_t i = 0; i < kLengthBytes; ++i) result[i] = static_cast<char>(text.size() >> (8 * i));
  result += text;
  result.replace(kHashOffset, kNoHash.size(), hash_text(result.data(), result.size()));
  return result;
}

class Reader {
 public:
  Reader(std::shared_ptr<const MappedFile> file, const std::string& path)
      : file_(std::move(file)), path_(path) {}

  absl::StatusOr<Artifact> read() {
    FXQ_RETURN_IF_ERROR(check_header());
    FXQ_ASSIGN_OR_RETURN(Json header,
                         parse(file_->text().substr(kLengthBytes, data_ - kLengthBytes)));
    Artifact artifact;
    FXQ_RETURN_IF_ERROR(read_metadata(header, artifact));
    for (const auto& [name, entry] : header.items()) {
      if (name == "__metadata__") continue;
      FXQ_RETURN_IF_ERROR(read_tensor(name, entry, artifact));
    }
    if (bytes_seen_ != file_->size() - data_) {
      return damaged(fmt::format("its tensors take {} bytes, it holds {}", bytes_seen_,
                                 file_->size() - data_));
    }
    return artifact;
  }

 private:
  absl::Status damaged(std::string_view what) const {
    return absl::DataLossError(fmt::format("{} is damaged: {}", path_, what));
  }

  absl::Status check_header() {
    const std::string_view text = file_->text();
    if (text.substr(0, 4) == std::string_view("PK\3\4", 4)) {
      return absl::InvalidArgumentError(fmt::format(
          "{} is a zip archive (a TorchScript .pt or an .npz?), a file written by fxq is needed",
          path_));
    }
    if (text.size() < kHashOffset + kNoHash.size()) {
      return damaged(fmt::format("{} bytes are too few for a file written by fxq", text.size()));
    }
    const uint64_t length = load_u64(file_->bytes());
    if (length > text.size() - kLengthBytes || (length + kLengthBytes) % kHeaderAlignment != 0 ||
        length < kOpening.size() + kNoHash.size()) {
      return damaged(
          fmt::format("a header of {} bytes does not fit its {} bytes", length, text.size()));
    }
    data_ = kLengthBytes + static_cast<size_t>(length);
    if (text.substr(kLengthBytes, kOpening.size()) != kOpening) {
      return damaged("it does not begin as a file written by fxq does");
    }
    std::string header(text.substr(0, data_));
    header.replace(kHashOffset, kNoHash.size(), kNoHash);
    if (hash_text(header.data(), header.size()) != text.substr(kHashOffset, kNoHash.size())) {
      return damaged("the hash of its header does not match");
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Json> parse(std::string_view text) const {
    Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) return damaged("its header is not a JSON object");
    return json;
  }

  absl::Status read_metadata(const Json& header, Artifact& artifact) {
    const auto metadata = header.find("__metadata__");
    if (metadata == header.end() || !metadata->is_object()) return damaged("it has no metadata");
    for (const auto& [key, text] : metadata->items()) {
      if (!text.is_string()) return damaged(fmt::format("metadata \"{}\" is not text", key));
      artifact.metadata[key] = text.get<std::string>();
    }
    FXQ_RETURN_IF_ERROR(check_version(artifact.metadata["fxq.version"]));
    FXQ_ASSIGN_OR_RETURN(hashes_, parse(artifact.metadata["fxq.xxh3"]));
    for (auto it = artifact.metadata.begin(); it != artifact.metadata.end();) {
      it = it->first.compare(0, kOurKeys.size(), kOurKeys) == 0 ? artifact.metadata.erase(it)
                                                                : std::next(it);
    }
    return absl::OkStatus();
  }

  absl::Status check_version(const std::string& text) const {
    int version = 0;
    if (!absl::SimpleAtoi(text, &version) || version < 1) return damaged("it has no version");
    if (version <= kArtifactVersion) return absl::OkStatus();
    return absl::InvalidArgumentError(
        fmt::format("{} has format version {}, this build reads up to {}: use a newer fxq", path_,
                    version, kArtifactVersion));
  }

  absl::StatusOr<std::vector<int64_t>> read_shape(const std::string& name, const Json& shape,
                                                  DType dtype, size_t size) const {
    std::vector<int64_t> dims;
    constexpr uint64_t kMax = std::numeric_limits<int64_t>::max();
    uint64_t count = dtype_size(dtype);
    bool zero = false;
    for (const Json& dim : shape) {
      if (!dim.is_number_integer() || dim < 0) {
        return damaged(fmt::format("tensor \"{}\" has a bad shape", name));
      }
      dims.push_back(dim.get<int64_t>());
      zero = zero || dims.back() == 0;
      const auto factor = static_cast<uint64_t>(dims.back());
      if (factor == 0) continue;
      // Checked even where another dimension is 0, so that no product of dims can overflow later.
      if (count > kMax / factor) return damaged(fmt::format("tensor \"{}\" has a bad shape", name));
      count *= factor;
    }
    if ((zero ? 0 : count) != size) {
      return damaged(fmt::format("tensor \"{}\": shape and bytes do not agree", name));
    }
    return dims;
  }

  absl::Status read_tensor(const std::string& name, const Json& entry, Artifact& artifact) {
    const absl::Status bad = damaged(fmt::format("the entry of tensor \"{}\" is malformed", name));
    if (!entry.is_object() || !entry.contains("dtype") || !entry.contains("shape") ||
        !entry.contains("data_offsets")) {
      return bad;
    }
    const Json& offsets = entry["data_offsets"];
    if (!entry["dtype"].is_string() || !entry["shape"].is_array() || !offsets.is_array() ||
        offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
        !offsets[1].is_number_unsigned()) {
      return bad;
    }
    const auto dtype = dtype_from_file_name(entry["dtype"].get<std::string>());
    const auto begin = offsets[0].get<uint64_t>();
    const auto end = offsets[1].get<uint64_t>();
    if (!dtype || begin > end || end > file_->size() - data_ || begin % dtype_size(*dtype) != 0) {
      return bad;
    }
    FXQ_ASSIGN_OR_RETURN(std::vector<int64_t> dims,
                         read_shape(name, entry["shape"], *dtype, end - begin));
    std::byte* bytes = file_->bytes() + data_ + begin;
    const auto hash = hashes_.find(name);
    if (hash == hashes_.end() || *hash != hash_text(bytes, end - begin)) {
      return damaged(fmt::format("the hash of tensor \"{}\" does not match", name));
    }
    bytes_seen_ += end - begin;
    artifact.tensors.emplace(name, HostTensor(*dtype, std::move(dims), bytes, file_));
    return absl::OkStatus();
  }

  const std::shared_ptr<const MappedFile> file_;
  const std::string& path_;
  size_t data_ = 0;  // where tensors begin
  size_t bytes_seen_ = 0;
  Json hashes_;
};

std::string_view text_of(const HostTensor& tensor) {
  return {reinterpret_cast<const char*>(tensor.bytes()), tensor.byte_size()};
}

}  // namespace

absl::StatusOr<std::string> encode_safetensors(const Artifact& artifact) {
  const std::vector<const Entry*> order = in_file_order(artifact);
  FXQ_ASSIGN_OR_RETURN(std::string result, encode_header(artifact, order));
  for (const Entry* entry : order) result += text_of(entry->second);
  return result;
}

absl::Status save_artifact(const Artifact& artifact, const std::string& path) {
  const std::vector<const Entry*> order = in_file_order(artifact);
  FXQ_ASSIGN_OR_RETURN(const std::string header, encode_header(artifact, order));
  std::vector<std::string_view> pieces{header};
  for (const Entry* entry : order) pieces.push_back(text_of(entry->second));
  return write_file_atomically(path, pieces);
}

absl::StatusOr<Artifact> decode_safetensors(std::shared_ptr<const MappedFile> file,
                                            const std::string& path) {
  return Reader(std::move(file), path).read();
}

absl::StatusOr<Artifact> load_artifact(const std::string& path) {
  FXQ_ASSIGN_OR_RETURN(auto file, MappedFile::open(path));
  return decode_safetensors(std::move(file), path);
}

}  // namespace fxq
