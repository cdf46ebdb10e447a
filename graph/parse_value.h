// Types and arguments of the text form, read from a Lexer: the leaves of the grammar, shared by
// declarations and graphs. All are InvalidArgument on failure.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/graph/argument.h"
#include "fxq/graph/lexer.h"
#include "fxq/graph/type.h"

namespace fxq {

// Deeper nesting than this is refused: reading and freeing it would need the stack.
inline constexpr int kMaxTextDepth = 100;

absl::StatusOr<Type> read_type(Lexer& lexer, int depth = 0);

// What %name stands for. Without one, a node is an error: only constants are allowed.
using NodeLookup = std::function<absl::StatusOr<Argument>(const Token& name)>;
absl::StatusOr<Argument> read_argument(Lexer& lexer, const NodeLookup& nodes, int depth = 0);

// The rest of an argument whose first token, a word, was already taken (keywords need one look
// more).
absl::StatusOr<Argument> read_word_argument(Lexer& lexer, const Token& word,
                                            const NodeLookup& nodes, int depth = 0);

// A name, in quotes if it is no plain word ("cell.weight" of an opaque module).
absl::StatusOr<Token> read_key(Lexer& lexer, std::string_view what);

// {key=value, flag, ...}: calls `entry` after each key was taken.
absl::Status read_braces(Lexer& lexer, const std::function<absl::Status(const Token& key)>& entry);

// "text", of a setting, an owner, a source.
absl::StatusOr<std::string> read_string(Lexer& lexer, std::string_view what);
// ["a", "b"]
absl::StatusOr<std::vector<std::string>> read_strings(Lexer& lexer, std::string_view what);

}  // namespace fxq
