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

// True for a march with a BPU: what it lacks is an error, or runs on the CPU beside it (hybrid).
// March::CPU computes in float what it has no integer kernel for.
bool has_bpu(March march);
// The march whose rows of ops.def and march_limits.def hold: META's are BAYES's.
March published_march(March march);

// Activation dtypes (QBits) that the march's kernel of an op reads; kQNone: there is none.
uint8_t march_bits(March march, const OpDef& def);
// Those that it may give; mostly the same.
uint8_t march_out_bits(March march, const OpDef& def);

}  // namespace fxq
