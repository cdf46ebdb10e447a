// end of central directory (with zip64: locator -> zip64 end) -> central headers -> local headers,
// each followed by name, extra fields and the member's bytes. Field layouts: PKWARE APPNOTE 4.3.
#include "fxq/data/zip.h"

#include <zlib.h>

#include <algorithm>
#include <optional>

#include "fmt/format.h"
#include "fxq/base/status.h"

namespace fxq {
namespace {

constexpr size_t kLocalSize = 30;
constexpr size_t kCentralSize = 46;
constexpr size_t kEndSize = 22;
constexpr size_t kLocatorSize = 20;
constexpr size_t kEnd64Size = 56;
constexpr uint64_t kMaxDeflateRatio = 1032;  // of one deflate stream (zlib's documentation)

absl::Status damaged(std::string_view what, std::string_view problem) {
  return absl::DataLossError(fmt::format("{}: damaged zip archive: {}", what, problem));
}

// Little-endian fields of a record whose size was checked.
class Record {
 public:
  Record() = default;
  explicit Record(std::string_view bytes) : bytes_(bytes) {}
  uint64_t get(size_t offset, size_t size) const {
    uint64_t value = 0;
    for (size_t i = size; i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes_[offset + i]);
    return value;
  }
  uint16_t u16(size_t offset) const { return static_cast<uint16_t>(get(offset, 2)); }
  uint32_t u32(size_t offset) const { return static_cast<uint32_t>(get(offset, 4)); }
  uint64_t u64(size_t offset) const { return get(offset, 8); }

 private:
  std::string_view bytes_;
};

// `size` bytes at `offset` that begin with PK + `kind`; nothing if they do not fit.
std::optional<Record> record_at(std::string_view archive, uint64_t offset, size_t size,
                                std::string_view kind) {
  if (offset > archive.size() || archive.size() - offset < size) return std::nullopt;
  const std::string_view bytes = archive.substr(offset, size);
  if (bytes.substr(0, 2) != "PK" || bytes.substr(2, 2) != kind) return std::nullopt;
  return Record(bytes);
}

struct Directory {
  uint64_t count = 0;
  uint64_t offset = 0;
};

absl::StatusOr<Directory> directory64(std::string_view archive, size_t end, std::string_view what) {
  const auto locator = end < kLocatorSize
                           ? std::nullopt
                           : record_at(archive, end - kLocatorSize, kLocatorSize, "\x06\x07");
  if (!locator) return damaged(what, "the zip64 locator is missing");
  const auto end64 = record_at(archive, locator->u64(8), kEnd64Size, "\x06\x06");
  if (!end64) return damaged(what, "the zip64 end of the directory is missing");
  return Directory{end64->u64(32), end64->u64(48)};
}

absl::StatusOr<Directory> find_directory(std::string_view archive, std::string_view what) {
  constexpr size_t kMaxComment = 65535;
  const size_t tail = std::min(archive.size(), kEndSize + kMaxComment);
  for (size_t back = kEndSize; back <= tail; ++back) {
    const size_t end = archive.size() - back;
    const auto record = record_at(archive, end, kEndSize, "\x05\x06");
    if (!record || record->u16(20) != back - kEndSize) continue;
    const Directory directory{record->u16(10), record->u32(16)};
    const bool is64 = directory.count == 0xffff || directory.offset == 0xffffffff;
    return is64 ? directory64(archive, end, what) : directory;
  }
  if (archive.substr(0, 2) != "PK") {
    return absl::InvalidArgumentError(
        fmt::format("{}: not a zip archive: it does not start with PK", what));
  }
  return damaged(what, "the end of the central directory is missing (truncated file?)");
}

// Extra field 1 holds, in this order, those of size, packed size and offset that were 0xffffffff.
bool apply_zip64(std::string_view extra, ZipMember* member) {
  uint64_t* fields[] = {&member->size, &member->packed_size, &member->header_offset};
  const bool needed =
      std::any_of(std::begin(fields), std::end(fields), [](auto* f) { return *f == 0xffffffff; });
  while (needed && extra.size() >= 4) {
    const Record header(extra.substr(0, 4));
    const size_t length = header.u16(2);
    if (length > extra.size() - 4) return false;
    std::string_view body = extra.substr(4, length);
    extra.remove_prefix(4 + length);
    if (header.u16(0) != 1) continue;
    for (uint64_t* field : fields) {
      if (*field != 0xffffffff) continue;
      if (body.size() < 8) return false;
      *field = Record(body).u64(0);
      body.remove_prefix(8);
    }
    return true;
  }
  return !needed;
}

absl::Status check_supported(const ZipMember& member, std::string_view what) {
  if ((member.flags & 1) != 0) {
    return absl::InvalidArgumentError(
        fmt::format("{}: member {} is encrypted; save it without", what, member.name));
  }
  if (member.method != 0 && member.method != 8) {
    return absl::InvalidArgumentError(
        fmt::format("{}: member {} is compressed by method {}; readable are stored (0) and "
                    "deflated (8), as np.savez and np.savez_compressed write",
                    what, member.name, member.method));
  }
  if (member.method == 0 && member.packed_size != member.size) {
    return damaged(what, fmt::format("stored member {} has two sizes", member.name));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<ZipMember>> zip_members(std::string_view archive,
                                                   std::string_view what) {
  FXQ_ASSIGN_OR_RETURN(const Directory directory, find_directory(archive, what));
  std::vector<ZipMember> members;
  uint64_t at = directory.offset;
  for (uint64_t i = 0; i < directory.count; ++i) {
    const auto record = record_at(archive, at, kCentralSize, "\x01\x02");
    if (!record) return damaged(what, fmt::format("directory entry {} is missing", i));
    const size_t name_size = record->u16(28);
    const size_t extra_size = record->u16(30);
    const size_t rest = name_size + extra_size + record->u16(32);
    at += kCentralSize;
    if (archive.size() - at < rest) return damaged(what, fmt::format("entry {} is cut off", i));
    ZipMember member{std::string(archive.substr(at, name_size)),
                     record->u16(8),
                     record->u16(10),
                     record->u32(16),
                     record->u32(20),
                     record->u32(24),
                     record->u32(42)};
    if (!apply_zip64(archive.substr(at + name_size, extra_size), &member)) {
      return damaged(what, fmt::format("entry {} has no valid zip64 field", i));
    }
    FXQ_RETURN_IF_ERROR(check_supported(member, what));
    members.push_back(std::move(member));
    at += rest;
  }
  return members;
}

absl::StatusOr<std::string_view> zip_packed_bytes(std::string_view archive, const ZipMember& member,
                                                  std::string_view what) {
  const auto record = record_at(archive, member.header_offset, kLocalSize, "\x03\x04");
  if (!record) return damaged(what, fmt::format("member {} has no local header", member.name));
  // The lengths may differ from those of the central directory.
  const uint64_t begin = member.header_offset + kLocalSize + record->u16(26) + record->u16(28);
  if (begin > archive.size() || archive.size() - begin < member.packed_size) {
    return damaged(what, fmt::format("member {} is cut off", member.name));
  }
  return archive.substr(begin, member.packed_size);
}

absl::StatusOr<std::string> zip_inflate(std::string_view packed, const ZipMember& member,
                                        std::string_view what) {
  // A lie about the size must not cost memory that the stream could never fill.
  if (member.size / kMaxDeflateRatio > packed.size()) {
    return damaged(what, fmt::format("member {} cannot hold {} bytes", member.name, member.size));
  }
  std::string content(member.size, '\0');
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) {
    return absl::ResourceExhaustedError(fmt::format("{}: zlib could not start", what));
  }
  constexpr uint64_t kLargestStep = uint64_t{1} << 30;  // zlib counts in 32 bits
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.next_out = reinterpret_cast<Bytef*>(content.data());
  uint64_t in_left = packed.size();
  uint64_t out_left = content.size();
  int result = Z_OK;
  while (result == Z_OK) {
    const uint64_t in = stream.avail_in = static_cast<uInt>(std::min(in_left, kLargestStep));
    const uint64_t out = stream.avail_out = static_cast<uInt>(std::min(out_left, kLargestStep));
    result = inflate(&stream, Z_NO_FLUSH);
    in_left -= in - stream.avail_in;
    out_left -= out - stream.avail_out;
  }
  inflateEnd(&stream);
  if (result != Z_STREAM_END || out_left != 0) {
    return damaged(what,
                   fmt::format("member {} does not inflate to {} bytes", member.name, member.size));
  }
  return content;
}

absl::Status zip_check_crc(std::string_view content, const ZipMember& member,
                           std::string_view what) {
  const uLong crc = crc32_z(0, reinterpret_cast<const Bytef*>(content.data()), content.size());
  if (crc == member.crc) return absl::OkStatus();
  return damaged(
      what, fmt::format("member {} has another checksum than its directory entry", member.name));
}

}  // namespace fxq
