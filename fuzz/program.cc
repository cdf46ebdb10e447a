// .fxq bytes -> artifact -> Program -> Executor -> a run, or a Status anywhere on the way. The hash
// of the header is set right first: else nothing but the hash would ever be tested.
#include <cstring>

#include "fmt/format.h"
#include "fxq/base/safetensors.h"
#include "fxq/runtime/executor.h"
#include "memory_file.h"
#include "xxhash.h"

namespace fxq {
namespace {

constexpr size_t kLengthBytes = 8;
constexpr size_t kHashDigits = 16;

void set_hash(std::string& file) {
  const size_t key = file.find("\"fxq.header_xxh3\":\"");
  if (key == std::string::npos || file.size() < kLengthBytes) return;
  const size_t at = key + std::strlen("\"fxq.header_xxh3\":\"");
  uint64_t length = 0;
  std::memcpy(&length, file.data(), sizeof length);
  if (length > file.size() - kLengthBytes || at + kHashDigits > kLengthBytes + length) return;
  file.replace(at, kHashDigits, std::string(kHashDigits, '0'));
  const uint64_t hash = XXH3_64bits(file.data(), kLengthBytes + length);
  file.replace(at, kHashDigits, fmt::format("{:016x}", hash));
}

// Small inputs; a run that wants more memory than this is not waited for.
constexpr size_t kMostBytes = 4 << 20;

void run(Executor& executor) {
  std::vector<std::vector<int64_t>> shapes;
  std::vector<HostTensor> inputs;
  for (const ValueId id : executor.program().inputs) {
    const Value& value = executor.program().values[static_cast<size_t>(id)];
    const int rank = value.rank.value_or(4);
    if (rank < 0 || rank > 6) return;
    std::vector<int64_t> dims(static_cast<size_t>(rank), 8);
    if (rank > 0) dims[0] = 2;
    if (rank > 1) dims[1] = 1;
    shapes.push_back(dims);
    inputs.emplace_back(value.dtype, dims);
  }
  const auto info = executor.describe(shapes);
  if (!info.ok() || info->arena_bytes > kMostBytes) return;
  executor.run(inputs).status().IgnoreError();
}

}  // namespace
}  // namespace fxq

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fxq;
  std::string bytes(reinterpret_cast<const char*>(data), size);
  set_hash(bytes);
  const fuzz::MemoryFile file(bytes.data(), bytes.size());
  const auto artifact = load_artifact(file.path());
  if (!artifact.ok()) return 0;
  auto program = Program::from_artifact(*artifact);
  if (!program.ok()) return 0;
  fuzz::require(program->verify().ok(), "a program that was read is broken");
  const auto executor = Executor::create(*std::move(program));
  if (executor.ok()) run(**executor);
  return 0;
}
