// --config bytes -> Config, and its qconfig block -> QConfigDict, or a Status.
#include "fxq/cli/config_file.h"
#include "memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fxq;
  const fuzz::MemoryFile file(data, size);
  const auto config = read_config(file.path());
  if (!config.ok()) return 0;
  make_qconfig_dict(config->qconfig, config->observer.value_or("")).status().IgnoreError();
  return 0;
}
