// The members of a zip archive in memory, as far as .npz files use them: stored or deflated, zip64,
// with CRC check; no encryption, no archives in parts. Borrows the archive's bytes, which must
// outlive it. Every offset and size is checked against the archive: damage is DataLoss.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace fxq {

struct ZipMember {
  std::string name;
  uint16_t flags = 0;
  uint16_t method = 0;  // 0 stored, 8 deflated
  uint32_t crc = 0;
  uint64_t packed_size = 0;
  uint64_t size = 0;
  uint64_t header_offset = 0;
};

// The central directory, in its order. `what` names the archive in errors.
absl::StatusOr<std::vector<ZipMember>> zip_members(std::string_view archive, std::string_view what);

// The member's bytes as they stand in the archive (a stored member's are its content).
absl::StatusOr<std::string_view> zip_packed_bytes(std::string_view archive, const ZipMember& member,
                                                  std::string_view what);

// A deflated member's content.
absl::StatusOr<std::string> zip_inflate(std::string_view packed, const ZipMember& member,
                                        std::string_view what);

// DataLoss unless `content` has the member's CRC.
absl::Status zip_check_crc(std::string_view content, const ZipMember& member,
                           std::string_view what);

struct ZipEntry {
  std::string name;
  std::vector<std::string_view> pieces;  // the content, one after the other; borrowed
};

// An archive of stored members whose contents start at multiples of 64 bytes. The pieces of the
// result borrow from the entries and from `headers`, which must outlive them.
absl::StatusOr<std::vector<std::string_view>> zip_archive(const std::vector<ZipEntry>& entries,
                                                          std::vector<std::string>* headers);

}  // namespace fxq
