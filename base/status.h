// The two macros that every function returning absl::Status needs, and its message as standard
// text.
//   FXQ_RETURN_IF_ERROR(expression);
//   FXQ_ASSIGN_OR_RETURN(auto value, status_or_expression);
#pragma once

#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace fxq {

// absl::string_view is a type of its own in some builds of Abseil, unknown to fmt. Valid as long as
// the status.
inline std::string_view message_of(const absl::Status& status) {
  return {status.message().data(), status.message().size()};
}

}  // namespace fxq

#define FXQ_RETURN_IF_ERROR(expression)                               \
  do {                                                                \
    if (::absl::Status fxq_status = (expression); !fxq_status.ok()) { \
      return fxq_status;                                              \
    }                                                                 \
  } while (false)

#define FXQ_CONCAT_(a, b) a##b
#define FXQ_CONCAT(a, b) FXQ_CONCAT_(a, b)

#define FXQ_ASSIGN_OR_RETURN(lhs, expression) \
  FXQ_ASSIGN_OR_RETURN_(FXQ_CONCAT(fxq_status_or_, __LINE__), lhs, expression)

#define FXQ_ASSIGN_OR_RETURN_(temporary, lhs, expression) \
  auto temporary = (expression);                          \
  if (!temporary.ok()) {                                  \
    return std::move(temporary).status();                 \
  }                                                       \
  lhs = std::move(temporary).value()
