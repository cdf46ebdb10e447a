// FXQ_CHECK: a broken invariant of fxq itself ends the process with file, line, expression and a
// message. Input that is merely bad never comes here: that is an absl::Status (base/status.h).
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

namespace fxq::internal {

[[noreturn]] inline void check_failed(const char* file, int line, const char* expression,
                                      const std::string& message) {
  std::fprintf(stderr, "fxq: %s:%d: check failed: %s %s\n", file, line, expression,
               message.c_str());
  std::abort();
}

}  // namespace fxq::internal

#define FXQ_CHECK(condition, ...)                                                              \
  do {                                                                                         \
    if (!(condition)) {                                                                        \
      ::fxq::internal::check_failed(__FILE__, __LINE__, #condition, std::string{__VA_ARGS__}); \
    }                                                                                          \
  } while (false)
