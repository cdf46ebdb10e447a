// Ctrl-C as a flag: while a guard lives, the first SIGINT or SIGTERM only sets it, so that a loop
// can end in order; a second one ends the process as usual. The guard gives back the handlers that
// it found.
#pragma once

#include <csignal>

namespace fxq {

class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

 private:
  struct sigaction previous_int_ {};
  struct sigaction previous_term_ {};
};

// Whether a signal has come since the outermost guard was made. Safe in any thread.
bool interrupted();

}  // namespace fxq
