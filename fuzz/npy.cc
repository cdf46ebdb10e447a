// .npy bytes -> a tensor or a Status; what was read is written and read again as the same bytes.
#include "fxq/data/npy.h"

#include <cstring>

#include "memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fxq;
  auto bytes = std::make_shared<std::string>(reinterpret_cast<const char*>(data), size);
  const auto tensor = parse_npy(*bytes, "fuzz", bytes);
  if (!tensor.ok()) return 0;
  const auto header = encode_npy_header(*tensor);
  if (!header.ok()) return 0;
  auto again = std::make_shared<std::string>(*header);
  again->append(reinterpret_cast<const char*>(tensor->bytes()), tensor->byte_size());
  const auto second = parse_npy(*again, "again", again);
  fuzz::require(second.ok(), "what was written is not read");
  const bool same = second->dims() == tensor->dims() && second->dtype() == tensor->dtype() &&
                    std::memcmp(second->bytes(), tensor->bytes(), tensor->byte_size()) == 0;
  fuzz::require(same, "what was written is read as something else");
  return 0;
}
