// %x  none  true  3  0.5  "text"  f32  device("cpu")  [..]  (.., ..)  (..,)  (a=..)  {k: v}
// slice(a, b, c)
#include <charconv>
#include <limits>

#include "fxq/base/status.h"
#include "fxq/graph/parse_value.h"

namespace fxq {
namespace {

using Tok = Token::Kind;

Argument number_argument(const Token& token) {
  const char* begin = token.text.data();
  const char* end = begin + token.text.size();
  if (token.is(Tok::kInt)) {
    int64_t value = 0;
    std::from_chars(begin, end, value);
    return value;
  }
  double value = 0;
  // Beyond the range of a double, from_chars leaves the value alone: the text meant zero or
  // infinity.
  if (std::from_chars(begin, end, value).ec == std::errc::result_out_of_range) {
    const bool tiny = token.text.find("e-") != std::string::npos;
    value = tiny ? 0.0 : std::numeric_limits<double>::infinity();
    if (token.text[0] == '-') value = -value;
  }
  return value;
}

absl::StatusOr<std::vector<Argument>> read_items(Lexer& lexer, std::string_view close,
                                                 std::string_view where, const NodeLookup& nodes,
                                                 int depth) {
  std::vector<Argument> items;
  while (!lexer.peek().is(close)) {
    FXQ_ASSIGN_OR_RETURN(Argument item, read_argument(lexer, nodes, depth + 1));
    items.push_back(std::move(item));
    if (!lexer.take_if(",")) break;
  }
  FXQ_RETURN_IF_ERROR(lexer.expect(close, where));
  return items;
}

absl::StatusOr<Argument> read_list(Lexer& lexer, const NodeLookup& nodes, int depth) {
  lexer.take();
  FXQ_ASSIGN_OR_RETURN(auto items, read_items(lexer, "]", "after the list", nodes, depth));
  return Argument::list(std::move(items));
}

absl::StatusOr<Argument> read_dict(Lexer& lexer, const NodeLookup& nodes, int depth) {
  lexer.take();
  DictArg dict;
  while (!lexer.peek().is("}")) {
    FXQ_ASSIGN_OR_RETURN(Argument key, read_argument(lexer, nodes, depth + 1));
    FXQ_RETURN_IF_ERROR(lexer.expect(":", "after the key of a dict"));
    FXQ_ASSIGN_OR_RETURN(Argument value, read_argument(lexer, nodes, depth + 1));
    dict.items.emplace_back(std::move(key), std::move(value));
    if (!lexer.take_if(",")) break;
  }
  FXQ_RETURN_IF_ERROR(lexer.expect("}", "after the dict"));
  return dict;
}

// One item of a tuple; its field's name is added to tuple.names if it has one.
absl::Status read_tuple_item(Lexer& lexer, const NodeLookup& nodes, int depth, TupleArg& tuple) {
  if (!lexer.peek().is(Tok::kName)) {
    FXQ_ASSIGN_OR_RETURN(Argument item, read_argument(lexer, nodes, depth));
    tuple.items.push_back(std::move(item));
    return absl::OkStatus();
  }
  const Token word = lexer.take();
  if (!lexer.take_if("=")) {
    FXQ_ASSIGN_OR_RETURN(Argument item, read_word_argument(lexer, word, nodes, depth));
    tuple.items.push_back(std::move(item));
    return absl::OkStatus();
  }
  FXQ_ASSIGN_OR_RETURN(Argument item, read_argument(lexer, nodes, depth));
  tuple.items.push_back(std::move(item));
  tuple.names.push_back(word.text);
  return absl::OkStatus();
}

absl::StatusOr<Argument> read_tuple(Lexer& lexer, const NodeLookup& nodes, int depth) {
  const Token open = lexer.take();
  TupleArg tuple;
  bool comma = false;
  while (!lexer.peek().is(")")) {
    FXQ_RETURN_IF_ERROR(read_tuple_item(lexer, nodes, depth + 1, tuple));
    comma = lexer.take_if(",");
    if (!comma) break;
  }
  if (tuple.items.size() == 1 && tuple.names.empty() && !comma) {
    return lexer.expected("',' (a tuple of one is written (%x,))");
  }
  FXQ_RETURN_IF_ERROR(lexer.expect(")", "after the tuple"));
  if (!tuple.names.empty() && tuple.names.size() != tuple.items.size()) {
    return Lexer::error(open, "a tuple whose fields are only partly named: name all or none");
  }
  return tuple;
}

absl::StatusOr<Argument> read_slice(Lexer& lexer, const NodeLookup& nodes, int depth) {
  FXQ_RETURN_IF_ERROR(lexer.expect("(", "after 'slice'"));
  FXQ_ASSIGN_OR_RETURN(auto parts, read_items(lexer, ")", "after the slice", nodes, depth));
  return SliceArg{std::move(parts)};
}

absl::StatusOr<Argument> read_device(Lexer& lexer) {
  FXQ_RETURN_IF_ERROR(lexer.expect("(", "after 'device'"));
  FXQ_ASSIGN_OR_RETURN(std::string name, read_string(lexer, "a device name"));
  FXQ_RETURN_IF_ERROR(lexer.expect(")", "after the device"));
  return Device{std::move(name)};
}

}  // namespace

absl::StatusOr<Argument> read_word_argument(Lexer& lexer, const Token& word,
                                            const NodeLookup& nodes, int depth) {
  if (word.is("none")) return Argument();
  if (word.is("true")) return Argument(true);
  if (word.is("false")) return Argument(false);
  if (word.is("nan")) return Argument(std::numeric_limits<double>::quiet_NaN());
  if (word.is("inf")) return Argument(std::numeric_limits<double>::infinity());
  if (word.is("slice")) return read_slice(lexer, nodes, depth);
  if (word.is("device")) return read_device(lexer);
  if (const auto dtype = dtype_from_name(word.text)) return Argument(*dtype);
  return Lexer::error(word, "expected an argument, read " + word.describe() +
                                " (nodes are written %name, strings in quotes)");
}

absl::StatusOr<Argument> read_argument(Lexer& lexer, const NodeLookup& nodes, int depth) {
  const Token& token = lexer.peek();
  if (depth > kMaxTextDepth) return Lexer::error(token, "an argument nested too deeply");
  if (token.is("[")) return read_list(lexer, nodes, depth);
  if (token.is("(")) return read_tuple(lexer, nodes, depth);
  if (token.is("{")) return read_dict(lexer, nodes, depth);
  switch (token.kind) {
    case Tok::kNode:
      if (!nodes) return lexer.expected("a constant");
      return nodes(lexer.take());
    case Tok::kInt:
    case Tok::kFloat:
      return number_argument(lexer.take());
    case Tok::kString:
      return Argument(lexer.take().text);
    case Tok::kName:
      break;
    default:
      return lexer.expected("an argument");
  }
  const Token word = lexer.take();
  return read_word_argument(lexer, word, nodes, depth);
}

absl::StatusOr<Token> read_key(Lexer& lexer, std::string_view what) {
  if (lexer.peek().is(Tok::kString)) return lexer.take();
  return lexer.expect(Tok::kName, what);
}

absl::Status read_braces(Lexer& lexer, const std::function<absl::Status(const Token& key)>& entry) {
  FXQ_RETURN_IF_ERROR(lexer.expect("{", "before annotations"));
  while (!lexer.peek().is("}")) {
    FXQ_ASSIGN_OR_RETURN(const Token key, lexer.expect(Tok::kName, "the name of an annotation"));
    FXQ_RETURN_IF_ERROR(entry(key));
    if (!lexer.take_if(",")) break;
  }
  return lexer.expect("}", "after the annotations");
}

absl::StatusOr<std::string> read_string(Lexer& lexer, std::string_view what) {
  FXQ_ASSIGN_OR_RETURN(Token token, lexer.expect(Tok::kString, std::string(what) + " in quotes"));
  return std::move(token.text);
}

absl::StatusOr<std::vector<std::string>> read_strings(Lexer& lexer, std::string_view what) {
  FXQ_RETURN_IF_ERROR(lexer.expect("[", "before a list of strings"));
  std::vector<std::string> strings;
  while (!lexer.peek().is("]")) {
    FXQ_ASSIGN_OR_RETURN(std::string text, read_string(lexer, what));
    strings.push_back(std::move(text));
    if (!lexer.take_if(",")) break;
  }
  FXQ_RETURN_IF_ERROR(lexer.expect("]", "after a list of strings"));
  return strings;
}

}  // namespace fxq
