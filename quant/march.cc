// The names of marches, the process default, and each one's column of the op table.
#include "fxq/quant/march.h"

#include <atomic>

namespace fxq {
namespace {

std::atomic<March> default_march{March::CPU};

constexpr March kMarches[] = {March::BERNOULLI2, March::BAYES, March::META, March::CPU};

}  // namespace

void set_march(March march) { default_march = march; }

March get_march() { return default_march; }

std::string_view march_name(March march) {
  switch (march) {
    case March::BERNOULLI2:
      return "BERNOULLI2";
    case March::BAYES:
      return "BAYES";
    case March::META:
      return "META";
    case March::CPU:
      break;
  }
  return "CPU";
}

std::optional<March> march_from_name(std::string_view name) {
  for (March march : kMarches) {
    if (march_name(march) == name) return march;
  }
  return std::nullopt;
}

uint8_t march_bits(March march, const OpDef& def) {
  switch (march) {
    case March::BERNOULLI2:
      return def.bernoulli2;
    case March::BAYES:
    case March::META:
      return def.bayes;
    case March::CPU:
      break;
  }
  return def.kernel.empty() ? kQNone : kQ8 | kQ16;
}

}  // namespace fxq
