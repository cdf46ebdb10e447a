// a.npz = zip of x.npy, z.npy, ...  ->  {x: tensor, z: tensor, ...}
#include "fxq/data/npz.h"

#include <deque>
#include <memory>
#include <set>
#include <utility>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "fxq/base/file.h"
#include "fxq/base/mapped_file.h"
#include "fxq/base/status.h"
#include "fxq/data/npy.h"
#include "fxq/data/zip.h"

namespace fxq {
namespace {

constexpr std::string_view kSuffix = ".npy";

bool is_array(std::string_view name) {
  return name.size() > kSuffix.size() && name.substr(name.size() - kSuffix.size()) == kSuffix;
}

absl::Status check_names(const std::vector<ZipMember>& members, const std::string& path) {
  std::vector<std::string_view> others;
  std::set<std::string_view> seen;
  std::vector<std::string_view> twice;
  for (const ZipMember& member : members) {
    if (!is_array(member.name)) others.push_back(member.name);
    if (!seen.insert(member.name).second) twice.push_back(member.name);
  }
  if (!others.empty()) {
    return absl::InvalidArgumentError(
        fmt::format("{}: not a .npz file: no .npy arrays: {}{}", path, fmt::join(others, ", "),
                    others.size() == members.size() ? "" : " (write it with np.savez)"));
  }
  if (!twice.empty()) {
    return absl::DataLossError(
        fmt::format("{}: several members have one name: {}", path, fmt::join(twice, ", ")));
  }
  return absl::OkStatus();
}

absl::StatusOr<HostTensor> read_member(const std::shared_ptr<const MappedFile>& file,
                                       const ZipMember& member, const std::string& path) {
  const std::string what = fmt::format("{}: {}", path, member.name);
  FXQ_ASSIGN_OR_RETURN(const std::string_view packed, zip_packed_bytes(file->text(), member, path));
  if (member.method == 0) {
    FXQ_RETURN_IF_ERROR(zip_check_crc(packed, member, path));
    return parse_npy(packed, what, file);
  }
  FXQ_ASSIGN_OR_RETURN(std::string content, zip_inflate(packed, member, path));
  FXQ_RETURN_IF_ERROR(zip_check_crc(content, member, path));
  const auto owner = std::make_shared<const std::string>(std::move(content));
  return parse_npy(*owner, what, owner);
}

}  // namespace

absl::StatusOr<std::vector<NamedTensor>> read_npz(const std::string& path) {
  FXQ_ASSIGN_OR_RETURN(const std::shared_ptr<const MappedFile> file, MappedFile::open(path));
  FXQ_ASSIGN_OR_RETURN(const std::vector<ZipMember> members, zip_members(file->text(), path));
  FXQ_RETURN_IF_ERROR(check_names(members, path));
  std::vector<NamedTensor> tensors;
  for (const ZipMember& member : members) {
    FXQ_ASSIGN_OR_RETURN(HostTensor tensor, read_member(file, member, path));
    const size_t name_size = member.name.size() - kSuffix.size();
    tensors.push_back({member.name.substr(0, name_size), std::move(tensor)});
  }
  return tensors;
}

absl::Status write_npz(const std::string& path, absl::Span<const NamedTensor> tensors) {
  std::deque<std::string> array_headers;  // does not move what it holds
  std::vector<ZipEntry> entries;
  std::set<std::string> names;
  for (const NamedTensor& named : tensors) {
    if (named.name.empty() || !names.insert(named.name).second) {
      return absl::InvalidArgumentError(fmt::format(
          "cannot write {}: two arrays are named \"{}\", or one has no name", path, named.name));
    }
    FXQ_ASSIGN_OR_RETURN(std::string header, encode_npy_header(named.tensor));
    array_headers.push_back(std::move(header));
    const std::string_view elements{reinterpret_cast<const char*>(named.tensor.bytes()),
                                    named.tensor.byte_size()};
    entries.push_back({named.name + std::string(kSuffix), {array_headers.back(), elements}});
  }
  std::vector<std::string> zip_headers;
  FXQ_ASSIGN_OR_RETURN(const auto pieces, zip_archive(entries, &zip_headers));
  return write_file_atomically(path, pieces);
}

}  // namespace fxq
