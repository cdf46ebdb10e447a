// conv2d's stride=[1,1] and add's alpha=1 need not be written.
#include "fxq/graph/schema_default.h"

#include <ATen/core/function_schema.h>

#include "fxq/graph/ivalue_convert.h"

namespace fxq {

bool is_schema_default(const c10::FunctionSchema* schema, const std::string& name,
                       const Argument& value) {
  const auto index = schema ? schema->argumentIndexWithName(name) : c10::nullopt;
  if (!index) return false;
  const c10::Argument& declared = schema->arguments()[*index];
  const auto fallback =
      declared.default_value() ? to_argument(*declared.default_value()) : std::nullopt;
  if (!fallback) return false;
  if (value == *fallback) return true;
  // As the operator sees it: 1 is 1.0 where a float is wanted.
  try {
    const auto seen = to_argument(to_ivalue_as(value, declared.type()));
    return seen && *seen == *fallback;
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace fxq
