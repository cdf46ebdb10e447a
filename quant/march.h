// March: the target whose integer kernels a model is quantized for: a BPU generation, or this
// library's own CPU kernels. It is an option of prepare and convert; set_march() changes the
// process-wide default, which is March::CPU. A prepared model remembers its march.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "fxq/graph/ops/op_def.h"

namespace fxq {

// Spelled as on the API page. META has no public operator table: it takes BAYES's, provisionally.
enum class March : uint8_t { BERNOULLI2, BAYES, META, CPU };

void set_march(March march);
March get_march();

std::string_view march_name(March march);  // "BAYES"
std::optional<March> march_from_name(std::string_view name);

// Activation dtypes (QBits) in which the march runs an op; kQNone: it does not.
uint8_t march_bits(March march, const OpDef& def);

}  // namespace fxq
