// What a progress bar draws on terminals and elsewhere, with a clock of the test's.
#include "fxq/cli/terminal/progress.h"

#include <csignal>

#include "fxq/cli/terminal/interrupt.h"
#include "gmock/gmock.h"

namespace fxq {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A terminal whose time stands still until it is moved.
struct FakeTerminal {
  double now = 100.0;
  std::vector<std::string> writes;

  ProgressOptions options(ProgressMode mode, int64_t total, size_t width = 80) {
    ProgressOptions options{"calib", "img", total, mode, {}};
    options.sink.write = [this](std::string_view text) { writes.emplace_back(text); };
    options.sink.seconds = [this] { return now; };
    options.sink.width = width;
    return options;
  }
};

TEST(Progress, DrawsABar) {
  FakeTerminal terminal;
  {
    Progress progress(terminal.options(ProgressMode::kBar, 8));
    terminal.now += 2.0;
    progress.advance(4);
    progress.advance(1);  // too soon to redraw
    terminal.now += 1.0;
    progress.set_note("RSS 412 MiB");
    progress.advance(1);
    terminal.now += 1.0;
    progress.advance(2);
  }
  EXPECT_THAT(
      terminal.writes,
      ElementsAre(
          "\r[calib] ████████████░░░░░░░░░░░░ 4/8   50%  2.0 img/s  ETA 0:02\x1b[K",
          "\r[calib] ██████████████████░░░░░░ 6/8   75%  2.0 img/s  ETA 0:01  RSS 412 MiB\x1b[K",
          "\r[calib] ████████████████████████ 8/8  100%  2.0 img/s  in 0:04  RSS 412 MiB\x1b[K",
          "\n"));
}

TEST(Progress, FitsNarrowTerminals) {
  FakeTerminal terminal;
  {
    Progress progress(terminal.options(ProgressMode::kBar, 8, 20));
    terminal.now += 1.0;
    progress.advance(4);
  }
  EXPECT_EQ(terminal.writes[0], "\r[calib] 4/8   50% …\x1b[K");
}

TEST(Progress, PrintsALinePerTenth) {
  FakeTerminal terminal;
  {
    Progress progress(terminal.options(ProgressMode::kLines, 40));
    for (int i = 0; i < 40; ++i) {
      terminal.now += 0.1;
      progress.advance();
    }
  }
  ASSERT_EQ(terminal.writes.size(), 10U);
  EXPECT_EQ(terminal.writes[0], "[calib] 4/40   10%  10.0 img/s  ETA 0:04\n");
  EXPECT_EQ(terminal.writes[9], "[calib] 40/40  100%  10.0 img/s  in 0:04\n");
}

TEST(Progress, PrintsALineEveryFiveSeconds) {
  FakeTerminal terminal;
  Progress progress(terminal.options(ProgressMode::kLines, 0));
  for (int i = 0; i < 11; ++i) {
    terminal.now += 1.0;
    progress.advance();
  }
  EXPECT_THAT(terminal.writes, ElementsAre("[calib] 5  1.0 img/s\n", "[calib] 10  1.0 img/s\n"));
}

TEST(Progress, IsQuietIfAsked) {
  FakeTerminal terminal;
  {
    Progress progress(terminal.options(ProgressMode::kQuiet, 4));
    terminal.now += 60.0;
    progress.advance(2);
  }
  EXPECT_THAT(terminal.writes, IsEmpty());
}

TEST(Progress, EndsOnce) {
  FakeTerminal terminal;
  {
    Progress progress(terminal.options(ProgressMode::kLines, 4));
    progress.finish();
    progress.advance(4);
    progress.finish();
  }
  EXPECT_EQ(terminal.writes.size(), 1U);
}

TEST(FormatDuration, Formats) {
  EXPECT_EQ(format_duration(0.4), "0:00");
  EXPECT_EQ(format_duration(754), "12:34");
  EXPECT_EQ(format_duration(3723), "1:02:03");
  EXPECT_EQ(format_duration(1e30), "99:59:59");
  EXPECT_EQ(format_duration(-5), "0:00");
}

TEST(Interrupt, SetsAFlagOnceAndGivesTheHandlerBack) {
  struct sigaction before {
  }, after{};
  sigaction(SIGINT, nullptr, &before);
  {
    const InterruptGuard guard;
    EXPECT_FALSE(interrupted());
    raise(SIGINT);
    EXPECT_TRUE(interrupted());
    sigaction(SIGINT, nullptr, &after);
    EXPECT_EQ(after.sa_handler, SIG_DFL);  // a second Ctrl-C would end the process
  }
  sigaction(SIGINT, nullptr, &after);
  EXPECT_EQ(after.sa_handler, before.sa_handler);
  const InterruptGuard guard;
  EXPECT_FALSE(interrupted());
}

}  // namespace
}  // namespace fxq
