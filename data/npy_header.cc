// dict  = "{" [ key ":" value { "," key ":" value } [","] ] "}"
// value = string | list (descr) | "True" | "False" (fortran_order) | "(" [ int { "," int } [","] ]
// ")"
#include "fxq/data/npy_header.h"

#include <limits>

#include "fmt/format.h"
#include "fxq/base/status.h"

namespace fxq {
namespace {

constexpr size_t kMaxRank = 64;  // NumPy's own limit

class DictParser {
 public:
  explicit DictParser(std::string_view text) : text_(text) {}

  absl::StatusOr<NpyDict> parse() {
    FXQ_RETURN_IF_ERROR(expect("{"));
    while (!accept("}")) {
      FXQ_RETURN_IF_ERROR(entry());
      if (accept(",")) continue;
      FXQ_RETURN_IF_ERROR(expect("}"));
      break;
    }
    skip_space();
    if (at_ != text_.size()) return error("the end of the header");
    if (seen_ != 7) return error("descr, fortran_order and shape, once each");
    return dict_;
  }

 private:
  absl::Status error(std::string_view expected) const {
    return absl::DataLossError(
        fmt::format("expected {} at byte {} of the header's text", expected, at_));
  }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }

  bool accept(std::string_view token) {
    skip_space();
    if (text_.substr(at_, token.size()) != token) return false;
    at_ += token.size();
    return true;
  }

  absl::Status expect(std::string_view token) {
    return accept(token) ? absl::OkStatus() : error(fmt::format("'{}'", token));
  }

  absl::StatusOr<std::string> string() {
    skip_space();
    const char quote = at_ < text_.size() ? text_[at_] : '\0';
    if (quote != '\'' && quote != '"') return error("a string");
    const size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) return error("a closing quote");
    std::string value(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return value;
  }

  absl::StatusOr<std::string> descr() {
    skip_space();
    if (text_.substr(at_, 1) != "[") return string();
    const size_t begin = at_;
    for (int depth = 0; at_ < text_.size();) {
      const char c = text_[at_++];
      if (c == '[') ++depth;
      if (c == ']' && --depth == 0) return std::string(text_.substr(begin, at_ - begin));
    }
    return error("']'");
  }

  absl::StatusOr<int64_t> integer() {
    constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
    skip_space();
    const size_t begin = at_;
    int64_t value = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      const int digit = text_[at_] - '0';
      if (value > (kMax - digit) / 10) return error("a dimension below 2^63");
      value = value * 10 + digit;
    }
    if (at_ == begin) return error("a non-negative dimension");
    accept("L");
    return value;
  }

  absl::Status shape() {
    FXQ_RETURN_IF_ERROR(expect("("));
    while (!accept(")")) {
      FXQ_ASSIGN_OR_RETURN(int64_t dim, integer());
      dict_.shape.push_back(dim);
      if (dict_.shape.size() > kMaxRank) return error("at most 64 dimensions");
      if (accept(",")) continue;
      return expect(")");
    }
    return absl::OkStatus();
  }

  absl::Status once(int bit) {
    if ((seen_ & bit) != 0) return error("each key once");
    seen_ |= bit;
    return expect(":");
  }

  absl::Status entry() {
    FXQ_ASSIGN_OR_RETURN(const std::string key, string());
    if (key == "descr") {
      FXQ_RETURN_IF_ERROR(once(1));
      FXQ_ASSIGN_OR_RETURN(dict_.descr, descr());
    } else if (key == "fortran_order") {
      FXQ_RETURN_IF_ERROR(once(2));
      dict_.fortran_order = accept("True");
      if (!dict_.fortran_order) return expect("False");
    } else if (key == "shape") {
      FXQ_RETURN_IF_ERROR(once(4));
      return shape();
    } else {
      return error("the key descr, fortran_order or shape");
    }
    return absl::OkStatus();
  }

  std::string_view text_;
  size_t at_ = 0;
  int seen_ = 0;
  NpyDict dict_;
};

}  // namespace

absl::StatusOr<NpyDict> parse_npy_dict(std::string_view text) { return DictParser(text).parse(); }

}  // namespace fxq
