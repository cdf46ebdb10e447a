// sigaction with SA_RESETHAND: the handler runs once, then the default action is back.
#include "fxq/cli/terminal/interrupt.h"

#include <atomic>

namespace fxq {
namespace {

std::atomic<bool> flag{false};
std::atomic<int> guards{0};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may only touch such");

void on_signal(int) { flag.store(true); }

}  // namespace

InterruptGuard::InterruptGuard() {
  if (guards.fetch_add(1) == 0) flag.store(false);
  struct sigaction action {};
  action.sa_handler = on_signal;
  // No SA_RESTART: a blocking read must return.
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, &previous_int_);
  sigaction(SIGTERM, &action, &previous_term_);
}

InterruptGuard::~InterruptGuard() {
  sigaction(SIGINT, &previous_int_, nullptr);
  sigaction(SIGTERM, &previous_term_, nullptr);
  guards.fetch_sub(1);
}

bool interrupted() { return flag.load(); }

}  // namespace fxq
