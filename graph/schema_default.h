// Whether an attribute says nothing new: it equals the default of the schema argument of its name.
#pragma once

#include <string>

#include "fxq/graph/argument.h"

namespace c10 {
struct FunctionSchema;
}

namespace fxq {

// False if there is no schema, argument or default.
bool is_schema_default(const c10::FunctionSchema* schema, const std::string& name,
                       const Argument& value);

}  // namespace fxq
