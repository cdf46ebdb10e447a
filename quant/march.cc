// The marches as rows: name, column of the op table, whose limits.
#include "fxq/quant/march.h"

#include <array>
#include <atomic>

namespace fxq {
namespace {

std::atomic<March> default_march{March::CPU};

struct Row {
  std::string_view name;
  March published;
  bool has_bpu;
  uint8_t OpDef::*bits;      // null: whatever has an integer kernel here
  uint8_t OpDef::*out_bits;  // null, or none in the row: as `bits`
};

// In the order of the enum.
constexpr std::array<Row, 4> kRows = {{
    {"BERNOULLI2", March::BERNOULLI2, true, &OpDef::bernoulli2, nullptr},
    {"BAYES", March::BAYES, true, &OpDef::bayes, &OpDef::bayes_out},
    {"META", March::BAYES, true, &OpDef::bayes, &OpDef::bayes_out},
    {"CPU", March::CPU, false, nullptr, nullptr},
}};

const Row& row_of(March march) { return kRows[static_cast<size_t>(march)]; }

}  // namespace

void set_march(March march) { default_march = march; }

March get_march() { return default_march; }

std::string_view march_name(March march) { return row_of(march).name; }

std::optional<March> march_from_name(std::string_view name) {
  for (size_t i = 0; i < kRows.size(); ++i) {
    if (kRows[i].name == name) return static_cast<March>(i);
  }
  return std::nullopt;
}

bool has_bpu(March march) { return row_of(march).has_bpu; }

March published_march(March march) { return row_of(march).published; }

uint8_t march_bits(March march, const OpDef& def) {
  const Row& row = row_of(march);
  if (row.bits) return def.*row.bits;
  return def.kernel.empty() ? kQNone : kQ8 | kQ16;
}

uint8_t march_out_bits(March march, const OpDef& def) {
  const Row& row = row_of(march);
  const uint8_t wider = row.out_bits ? def.*row.out_bits : static_cast<uint8_t>(kQNone);
  return wider != kQNone ? wider : march_bits(march, def);
}

}  // namespace fxq
