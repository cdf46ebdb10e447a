// '%conv = conv2d @layer1.conv(%x)  # note' -> node(conv) '=' name(conv2d) path(layer1.conv) '('
// ...
#include "fxq/graph/lexer.h"

#include <fmt/format.h>

#include <cctype>
#include <charconv>

namespace fxq {
namespace {

constexpr size_t kShown = 40;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_word(char c) { return is_letter(c) || is_digit(c); }
bool is_path(char c) { return is_word(c) || c == '.'; }

std::string shortened(std::string text) {
  if (text.size() <= kShown) return text;
  return text.substr(0, kShown) + "...";
}

Token bad(Token token, std::string message) {
  token.kind = Token::Kind::kBad;
  token.text = std::move(message);
  return token;
}

}  // namespace

std::string quoted_text(std::string_view text) {
  std::string result = "\"";
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    switch (c) {
      case '"':
        result += "\\\"";
        break;
      case '\\':
        result += "\\\\";
        break;
      case '\n':
        result += "\\n";
        break;
      case '\t':
        result += "\\t";
        break;
      case '\r':
        result += "\\r";
        break;
      default:
        if (byte < 0x20 || byte == 0x7f) {
          result += fmt::format("\\x{:02x}", byte);
        } else {
          result += c;
        }
    }
  }
  return result + '"';
}

std::string path_text(std::string_view path) {
  for (char c : path) {
    if (!is_path(c)) return "@" + quoted_text(path);
  }
  return path.empty() ? "@\"\"" : "@" + std::string(path);
}

std::string Token::describe() const {
  switch (kind) {
    case Kind::kEnd:
      return "the end of the text";
    case Kind::kNode:
      return shortened("%" + text);
    case Kind::kPath:
      return shortened(path_text(text));
    case Kind::kString:
      return shortened(quoted_text(text));
    case Kind::kBad:
      return text;
    default:
      return "'" + shortened(text) + "'";
  }
}

char Lexer::advance() {
  const char c = text_[at_++];
  if (c == '\n') {
    ++line_;
    column_ = 1;
  } else {
    ++column_;
  }
  return c;
}

template <typename Predicate>
std::string Lexer::take_while(Predicate wanted) {
  std::string result;
  while (at_ < text_.size() && wanted(text_[at_])) result += advance();
  return result;
}

void Lexer::skip_blank() {
  while (at_ < text_.size()) {
    if (std::isspace(static_cast<unsigned char>(look())) != 0) {
      advance();
    } else if (look() == '#') {
      take_while([](char c) { return c != '\n'; });
    } else {
      return;
    }
  }
}

Token Lexer::number(Token token) {
  token.kind = Token::Kind::kInt;
  if (look() == '-') token.text += advance();
  if (text_.substr(at_, 3) == "inf" && !is_word(look(3))) {
    token.kind = Token::Kind::kFloat;
    for (int i = 0; i < 3; ++i) token.text += advance();
    return token;
  }
  token.text += take_while(is_digit);
  if (look() == '.' && is_digit(look(1))) {
    token.kind = Token::Kind::kFloat;
    token.text += advance();
    token.text += take_while(is_digit);
  }
  const bool sign = look(1) == '+' || look(1) == '-';
  if ((look() == 'e' || look() == 'E') && is_digit(look(sign ? 2 : 1))) {
    token.kind = Token::Kind::kFloat;
    for (int i = 0; i < (sign ? 2 : 1); ++i) token.text += advance();
    token.text += take_while(is_digit);
  }
  if (is_word(look())) return bad(token, fmt::format("a number that ends in '{}'", look()));
  int64_t value = 0;
  const char* end = token.text.data() + token.text.size();
  if (token.is(Token::Kind::kInt) &&
      std::from_chars(token.text.data(), end, value).ec != std::errc()) {
    return bad(token, "an integer beyond 64 bits, '" + shortened(token.text) + "'");
  }
  return token;
}

// One escape after its backslash; false if there is no such escape.
bool Lexer::escape(std::string& out) {
  if (at_ >= text_.size()) return false;
  const char c = advance();
  if (c == 'n') return out += '\n', true;
  if (c == 't') return out += '\t', true;
  if (c == 'r') return out += '\r', true;
  if (c == '"' || c == '\\') return out += c, true;
  if (c != 'x' || at_ + 2 > text_.size()) return false;
  int byte = 0;
  const char* digits = text_.data() + at_;
  const auto [end, code] = std::from_chars(digits, digits + 2, byte, 16);
  if (code != std::errc() || end != digits + 2 || byte < 0) return false;
  advance();
  advance();
  out += static_cast<char>(byte);
  return true;
}

Token Lexer::quoted(Token token) {
  advance();
  while (at_ < text_.size() && look() != '\n') {
    const char c = advance();
    if (c == '"') return token;
    if (c != '\\') {
      token.text += c;
    } else if (!escape(token.text)) {
      return bad(token, "a string with an unknown escape (known: \\\" \\\\ \\n \\t \\r \\xNN)");
    }
  }
  return bad(token, "a string without its closing quote");
}

Token Lexer::next() {
  skip_blank();
  Token token;
  token.line = line_;
  token.column = column_;
  if (at_ >= text_.size()) return token;
  const char c = look();
  if (is_digit(c) || (c == '-' && (is_digit(look(1)) || look(1) == 'i'))) return number(token);
  if (is_letter(c)) {
    token.kind = Token::Kind::kName;
    token.text = take_while(is_word);
    if (look() == ':' && look(1) == ':' && is_letter(look(2))) {
      token.text += advance();
      token.text += advance();
      token.text += take_while(is_path);
    }
    return token;
  }
  if (c == '"') {
    token.kind = Token::Kind::kString;
    return quoted(token);
  }
  if (c == '%' && is_word(look(1))) {
    advance();
    token.kind = Token::Kind::kNode;
    token.text = take_while(is_word);
    return token;
  }
  if (c == '@' && (is_path(look(1)) || look(1) == '"')) {
    advance();
    token.kind = Token::Kind::kPath;
    if (look() == '"') return quoted(token);
    token.text = take_while(is_path);
    return token;
  }
  token.kind = Token::Kind::kPunct;
  if (text_.substr(at_, 3) == "...") {
    for (int i = 0; i < 3; ++i) token.text += advance();
    return token;
  }
  token.text = std::string(1, advance());
  if (std::string_view("()[]{},:=?*").find(c) != std::string_view::npos) return token;
  const auto byte = static_cast<unsigned char>(c);
  const bool shown = std::isprint(byte) != 0;
  return bad(token,
             shown ? fmt::format("a stray '{}'", c) : fmt::format("a stray byte 0x{:02x}", byte));
}

Token Lexer::take() {
  Token token = std::move(token_);
  token_ = next();
  return token;
}

bool Lexer::take_if(std::string_view word) {
  if (!token_.is(word)) return false;
  take();
  return true;
}

std::string Lexer::at(const Token& token, std::string_view message) {
  return fmt::format("line {}, column {}: {}", token.line, token.column, message);
}

absl::Status Lexer::error(const Token& token, std::string_view message) {
  return absl::InvalidArgumentError(at(token, message));
}

absl::Status Lexer::expected(std::string_view what) const {
  return error(token_, fmt::format("expected {}, read {}", what, token_.describe()));
}

absl::Status Lexer::expect(std::string_view word, std::string_view where) {
  if (take_if(word)) return absl::OkStatus();
  return expected(fmt::format("'{}' {}", word, where));
}

absl::StatusOr<Token> Lexer::expect(Token::Kind kind, std::string_view what) {
  if (token_.is(kind)) return take();
  return expected(what);
}

}  // namespace fxq
