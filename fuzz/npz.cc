// .npz bytes -> tensors or a Status; every byte of a tensor can be read.
#include "fxq/data/npz.h"

#include "memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const fxq::fuzz::MemoryFile file(data, size);
  const auto tensors = fxq::read_npz(file.path());
  if (!tensors.ok()) return 0;
  unsigned sum = 0;
  for (const auto& [name, tensor] : *tensors) {
    for (size_t i = 0; i < tensor.byte_size(); ++i) {
      sum += static_cast<unsigned>(tensor.bytes()[i]);
    }
  }
  asm volatile("" : : "r"(sum));  // the reads count even if nobody wants their sum
  return 0;
}
