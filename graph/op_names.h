// Op names of the text form: the op table's short names ("add") for canonical schemas, full
// overload names ("aten::add.out") for everything else. Pure functions over the op table and
// LibTorch's registry.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fxq/graph/graph.h"

namespace fxq {

// "add" or "aten::add.Tensor" -> op and schema; null schema if nobody knows it.
Callee find_op(std::string_view name);
// The target that a call of this name has: "add" -> "aten::add.Tensor".
std::string target_of(std::string_view name);
// The short name if there is one for this target, else the target.
std::string name_of(std::string_view target);
bool is_row_name(std::string_view name);  // "add", not "aten::add.Tensor"

std::vector<std::string> op_names();  // all rows that can be called
// "unknown op 'reluu': did you mean 'relu'?"
std::string unknown_op(std::string_view name);

}  // namespace fxq
