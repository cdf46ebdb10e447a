// Lexer: the text form as tokens, one at a time. Line breaks and `# comments` only separate tokens.
// It borrows the text. Errors are InvalidArgument and say line, column, what was read and what was
// expected; text that is no token at all (a lone quote, 99999999999999999999) is a token of kind
// kBad, which every expectation refuses with its own message.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace fxq {

struct Token {
  enum class Kind : uint8_t {
    kEnd,
    kName,    // conv2d  aten::add.Tensor  f32
    kNode,    // %x
    kPath,    // @layer1.0.conv1  @"odd path"
    kInt,     // -3
    kFloat,   // 0.5  1e-05  -inf
    kString,  // "text"
    kPunct,   // ( ) [ ] { } , : = ? * ...
    kBad,
  };
  Kind kind = Kind::kEnd;
  std::string text;  // without sigil and quotes, escapes resolved; of kBad: what is wrong
  int line = 1;
  int column = 1;

  bool is(Kind wanted) const { return kind == wanted; }
  bool is(std::string_view word) const {
    return (kind == Kind::kPunct || kind == Kind::kName) && text == word;
  }
  std::string describe() const;  // as it stood in the text, quoted and shortened
};

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) { token_ = next(); }

  const Token& peek() const { return token_; }
  Token take();
  bool take_if(std::string_view word);  // a name or punctuation

  // `where` ends the message: "after the arguments of %x".
  absl::Status expect(std::string_view word, std::string_view where);
  absl::StatusOr<Token> expect(Token::Kind kind, std::string_view what);

  // "line 3, column 7: <message>"
  static std::string at(const Token& token, std::string_view message);
  static absl::Status error(const Token& token, std::string_view message);
  // "expected <what>, read <token>"
  absl::Status expected(std::string_view what) const;

 private:
  Token next();
  void skip_blank();
  Token number(Token token);
  Token quoted(Token token);
  bool escape(std::string& out);
  char look(size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  char advance();
  template <typename Predicate>
  std::string take_while(Predicate wanted);

  std::string_view text_;
  size_t at_ = 0;
  int line_ = 1;
  int column_ = 1;
  Token token_;
};

// "..." with \" \\ \n \t \r \xNN, as the lexer reads it back.
std::string quoted_text(std::string_view text);
// @path, or @"path" if it holds other characters than letters, digits, '_' and '.'.
std::string path_text(std::string_view path);

}  // namespace fxq
