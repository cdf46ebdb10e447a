// f32[N,3,?]  i8[...] q(0.0235, 3)  tensor  int  list(T)  dict(T)  optional(T)  (T, T)  (T,)  ?
#include <array>
#include <charconv>
#include <cmath>

#include "fxq/base/status.h"
#include "fxq/graph/parse_value.h"
#include "fxq/graph/text.h"

namespace fxq {
namespace {

using Kind = Type::Kind;

struct KindName {
  std::string_view name;
  Kind kind;
};
constexpr std::array<KindName, 8> kPlain{{{"tensor", Kind::kTensor},
                                          {"int", Kind::kInt},
                                          {"float", Kind::kFloat},
                                          {"bool", Kind::kBool},
                                          {"str", Kind::kStr},
                                          {"none", Kind::kNone},
                                          {"dtype", Kind::kDType},
                                          {"device", Kind::kDevice}}};
constexpr std::array<KindName, 3> kNested{
    {{"list", Kind::kList}, {"dict", Kind::kDict}, {"optional", Kind::kOptional}}};

absl::StatusOr<Dim> read_dim(Lexer& lexer) {
  const Token& token = lexer.peek();
  if (lexer.take_if("?")) return Dim{};
  if (token.is(Token::Kind::kName)) return Dim{-1, lexer.take().text};
  if (!token.is(Token::Kind::kInt) || token.text[0] == '-') {
    return lexer.expected("a dimension (a size, a symbol or '?')");
  }
  Dim dim;
  const std::string digits = lexer.take().text;
  std::from_chars(digits.data(), digits.data() + digits.size(), dim.size);
  return dim;
}

absl::StatusOr<std::optional<std::vector<Dim>>> read_dims(Lexer& lexer) {
  FXQ_RETURN_IF_ERROR(lexer.expect("[", "before the shape"));
  if (lexer.take_if("...")) {
    FXQ_RETURN_IF_ERROR(lexer.expect("]", "after '...'"));
    return std::nullopt;
  }
  std::vector<Dim> dims;
  if (lexer.take_if("]")) return dims;
  do {
    FXQ_ASSIGN_OR_RETURN(Dim dim, read_dim(lexer));
    dims.push_back(std::move(dim));
  } while (lexer.take_if(","));
  FXQ_RETURN_IF_ERROR(lexer.expect("]", "after the shape"));
  return dims;
}

absl::StatusOr<QParams> read_qparams(Lexer& lexer, DType dtype) {
  const Token q = lexer.take();
  if (is_floating_point(dtype) || dtype == DType::kBool) {
    return Lexer::error(q, "q(...) stands for integers; the type before it is no integer type");
  }
  FXQ_RETURN_IF_ERROR(lexer.expect("(", "after 'q'"));
  QParams qparams;
  const Token scale = lexer.take();
  const char* end = scale.text.data() + scale.text.size();
  const bool number = scale.is(Token::Kind::kFloat) || scale.is(Token::Kind::kInt);
  if (!number || std::from_chars(scale.text.data(), end, qparams.scale).ec != std::errc() ||
      !std::isfinite(qparams.scale) || qparams.scale <= 0) {
    return Lexer::error(scale,
                        "expected a scale (a finite number above zero), read " + scale.describe());
  }
  if (lexer.take_if(",")) {
    FXQ_ASSIGN_OR_RETURN(const Token zero,
                         lexer.expect(Token::Kind::kInt, "a zero point (an integer)"));
    const char* zero_end = zero.text.data() + zero.text.size();
    if (std::from_chars(zero.text.data(), zero_end, qparams.zero_point).ec != std::errc()) {
      return Lexer::error(zero, "a zero point beyond 32 bits");
    }
  }
  FXQ_RETURN_IF_ERROR(lexer.expect(")", "after the quantization parameters"));
  return qparams;
}

absl::StatusOr<Type> read_tensor(Lexer& lexer, DType dtype) {
  Type type = Type::tensor(dtype);
  FXQ_ASSIGN_OR_RETURN(type.dims, read_dims(lexer));
  if (lexer.peek().is("q")) {
    FXQ_ASSIGN_OR_RETURN(type.qparams, read_qparams(lexer, dtype));
  }
  return type;
}

absl::StatusOr<Type> read_tuple(Lexer& lexer, int depth) {
  lexer.take();
  std::vector<Type> elements;
  while (!lexer.peek().is(")")) {
    FXQ_ASSIGN_OR_RETURN(Type element, read_type(lexer, depth + 1));
    elements.push_back(std::move(element));
    if (!lexer.take_if(",")) break;
  }
  FXQ_RETURN_IF_ERROR(lexer.expect(")", "after the types of a tuple"));
  return Type::tuple(std::move(elements));
}

absl::StatusOr<Type> read_named(Lexer& lexer, const Token& word, int depth) {
  const auto dtype = dtype_from_name(word.text);
  if (dtype && lexer.peek().is("[")) return read_tensor(lexer, *dtype);
  for (const KindName& plain : kPlain) {
    if (word.is(plain.name)) return Type::of(plain.kind);
  }
  for (const KindName& nested : kNested) {
    if (!word.is(nested.name)) continue;
    FXQ_RETURN_IF_ERROR(lexer.expect("(", "after '" + word.text + "'"));
    Type type = Type::of(nested.kind);
    FXQ_ASSIGN_OR_RETURN(Type element, read_type(lexer, depth + 1));
    type.elements.push_back(std::move(element));
    FXQ_RETURN_IF_ERROR(lexer.expect(")", "after the element type"));
    return type;
  }
  if (dtype) return lexer.expected("'[' and a shape after '" + word.text + "'");
  return Lexer::error(word, "expected a type, read " + word.describe() +
                                " (types: f32[N,3] i8[...] q(0.5) tensor int float bool str none "
                                "dtype device list(..) dict(..) optional(..) (.., ..) ?)");
}

}  // namespace

absl::StatusOr<Type> read_type(Lexer& lexer, int depth) {
  if (depth > kMaxTextDepth) return Lexer::error(lexer.peek(), "a type nested too deeply");
  if (lexer.take_if("?")) return Type{};
  if (lexer.peek().is("(")) return read_tuple(lexer, depth);
  if (!lexer.peek().is(Token::Kind::kName)) return lexer.expected("a type");
  return read_named(lexer, lexer.take(), depth);
}

absl::StatusOr<Type> parse_type(std::string_view text) {
  Lexer lexer(text);
  FXQ_ASSIGN_OR_RETURN(Type type, read_type(lexer));
  if (!lexer.peek().is(Token::Kind::kEnd)) return lexer.expected("the end after the type");
  return type;
}

}  // namespace fxq
