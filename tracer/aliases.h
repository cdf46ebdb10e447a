// What an operator's schema says about memory: which argument it writes, which argument a result is
// a view of, and how the same op is spelled without writing. Pure functions over
// c10::FunctionSchema.
#pragma once

#include <cstddef>
#include <optional>

namespace c10 {
struct FunctionSchema;
}  // namespace c10

namespace fxq {

// The one argument that the op mutates; the first if there are several.
std::optional<size_t> written_argument(const c10::FunctionSchema& schema);

// True if the first result is that argument itself: append does, pop does not.
bool returns_written(const c10::FunctionSchema& schema);

// "add_.Tensor" -> "add.Tensor"; null if there is no such op with the same arguments.
const c10::FunctionSchema* functional_form(const c10::FunctionSchema& schema);

// The result is a view of an argument, always: unsqueeze is, dropout only may be its input.
bool gives_view(const c10::FunctionSchema& schema);

// The argument whose memory result `index` may share, by annotation or because the op may return
// its input (dropout outside training).
std::optional<size_t> aliased_argument(const c10::FunctionSchema& schema, size_t index);

}  // namespace fxq
