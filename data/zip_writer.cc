// For each entry: local header, name, a padding extra field up to a multiple of 64, the content;
// then the central directory and its end. All dates are 1980-01-01, so equal entries give equal
// bytes. Fields larger than 32 bits would need zip64, which is not written.
#include <zlib.h>

#include <limits>

#include "fmt/format.h"
#include "fxq/base/status.h"
#include "fxq/data/zip.h"

namespace fxq {
namespace {

constexpr size_t kAlignment = 64;
constexpr uint16_t kAlignmentField = 0xd935;  // the id that zipalign uses
constexpr uint16_t kVersion = 20;
constexpr uint16_t kDate = 0x21;  // 1980-01-01

void put(std::string* out, uint64_t value, size_t size) {
  for (size_t i = 0; i < size; ++i) out->push_back(static_cast<char>(value >> (8 * i) & 0xff));
}

// The fields from "version needed" to "extra length", which both kinds of header share.
void put_shared(std::string* out, const ZipMember& member, size_t extra_size) {
  put(out, kVersion, 2);
  put(out, 0, 2);  // flags
  put(out, 0, 2);  // stored
  put(out, 0, 2);  // time
  put(out, kDate, 2);
  put(out, member.crc, 4);
  put(out, member.packed_size, 4);
  put(out, member.size, 4);
  put(out, member.name.size(), 2);
  put(out, extra_size, 2);
}

std::string local_header(const ZipMember& member) {
  const uint64_t content = member.header_offset + 30 + member.name.size() + 4;
  const size_t padding = (kAlignment - content % kAlignment) % kAlignment;
  std::string out = "PK\x03\x04";
  put_shared(&out, member, 4 + padding);
  out += member.name;
  put(&out, kAlignmentField, 2);
  put(&out, padding, 2);
  out.append(padding, '\0');
  return out;
}

std::string central_header(const ZipMember& member) {
  std::string out = "PK\x01\x02";
  put(&out, kVersion, 2);  // made by
  put_shared(&out, member, 0);
  put(&out, 0, 2);  // comment
  put(&out, 0, 2);  // disk
  put(&out, 0, 2);  // internal attributes
  put(&out, 0, 4);  // external attributes
  put(&out, member.header_offset, 4);
  return out + member.name;
}

std::string end_record(size_t count, uint64_t offset, uint64_t size) {
  std::string out = "PK\x05\x06";
  put(&out, 0, 4);  // disks
  put(&out, count, 2);
  put(&out, count, 2);
  put(&out, size, 4);
  put(&out, offset, 4);
  put(&out, 0, 2);  // comment
  return out;
}

}  // namespace

absl::StatusOr<std::vector<std::string_view>> zip_archive(const std::vector<ZipEntry>& entries,
                                                          std::vector<std::string>* headers) {
  constexpr uint64_t kMax = std::numeric_limits<uint32_t>::max() - 1;
  headers->clear();
  headers->reserve(entries.size() + 1);  // views into them must stay valid
  std::vector<std::string_view> pieces;
  std::string central;
  uint64_t offset = 0;
  for (const ZipEntry& entry : entries) {
    ZipMember member{entry.name};
    member.header_offset = offset;
    uLong crc = 0;
    for (std::string_view piece : entry.pieces) {
      crc = crc32_z(crc, reinterpret_cast<const Bytef*>(piece.data()), piece.size());
      member.size += piece.size();
    }
    member.crc = static_cast<uint32_t>(crc);
    member.packed_size = member.size;
    headers->push_back(local_header(member));
    offset += headers->back().size() + member.size;
    if (offset > kMax || entry.name.size() > 0xffff || entries.size() >= 0xffff) {
      return absl::InvalidArgumentError(
          fmt::format("member {} makes the archive larger than 4 GiB; use .npy files", entry.name));
    }
    pieces.push_back(headers->back());
    pieces.insert(pieces.end(), entry.pieces.begin(), entry.pieces.end());
    central += central_header(member);
  }
  headers->push_back(central + end_record(entries.size(), offset, central.size()));
  pieces.push_back(headers->back());
  return pieces;
}

}  // namespace fxq
