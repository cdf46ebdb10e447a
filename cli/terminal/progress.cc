// rate = done / elapsed;      ETA = (total - done) / rate
#include "fxq/cli/terminal/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "fmt/format.h"
#include "fxq/cli/terminal/display_width.h"

namespace fxq {
namespace {

constexpr double kRedrawSeconds = 0.1;
constexpr double kLineSeconds = 5.0;
constexpr size_t kBarColumns = 24;

void write_stderr(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

double steady_seconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

ProgressMode detect_mode() {
  const char* term = std::getenv("TERM");
  const bool dumb = term == nullptr || std::string_view(term) == "dumb";
  return isatty(STDERR_FILENO) != 0 && !dumb ? ProgressMode::kBar : ProgressMode::kLines;
}

size_t terminal_width() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

}  // namespace

std::string format_duration(double seconds) {
  constexpr double kLongest = 359999;  // 99:59:59
  const auto total = static_cast<int64_t>(std::clamp(std::round(seconds), 0.0, kLongest));
  const int64_t hours = total / 3600;
  const int64_t minutes = total / 60 % 60;
  if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, minutes, total % 60);
  return fmt::format("{}:{:02}", minutes, total % 60);
}

Progress::Progress(ProgressOptions options) : options_(std::move(options)) {
  if (options_.mode == ProgressMode::kAuto) options_.mode = detect_mode();
  if (!options_.sink.write) options_.sink.write = write_stderr;
  if (!options_.sink.seconds) options_.sink.seconds = steady_seconds;
  start_ = last_shown_ = options_.sink.seconds();
}

Progress::~Progress() { finish(); }

void Progress::advance(int64_t count) {
  if (finished_) return;
  done_ += count;
  const double now = options_.sink.seconds();
  const double waited = now - last_shown_;
  const int64_t tenth = options_.total > 0 ? done_ * 10 / options_.total : 0;
  const bool due = options_.mode == ProgressMode::kBar
                       ? waited >= kRedrawSeconds
                       : tenth > last_tenth_ || waited >= kLineSeconds;
  const bool complete = options_.total > 0 && done_ >= options_.total;  // finish() tells
  if (due && !complete) show(now);
}

void Progress::finish() {
  if (finished_) return;
  finished_ = true;
  show(options_.sink.seconds());
  if (options_.mode == ProgressMode::kBar) options_.sink.write("\n");
}

void Progress::show(double now) {
  last_shown_ = now;
  last_tenth_ = options_.total > 0 ? done_ * 10 / options_.total : 0;
  if (options_.mode == ProgressMode::kQuiet) return;
  const std::string label = fmt::format("[{}] ", options_.label);
  const std::string rest = numbers(now);
  if (options_.mode == ProgressMode::kLines) {
    options_.sink.write(label + rest + "\n");
    return;
  }
  // The last column stays free: writing there makes some terminals wrap.
  const size_t width = (options_.sink.width > 0 ? options_.sink.width : terminal_width()) - 1;
  const size_t used = display_width(label) + display_width(rest) + 1;
  const size_t columns = used < width ? std::min(kBarColumns, width - used) : 0;
  const std::string line =
      options_.total > 0 && columns > 3 ? label + bar(columns) + " " + rest : label + rest;
  options_.sink.write("\r" + cut_to_width(line, width) + "\x1b[K");
}

std::string Progress::numbers(double now) const {
  const double elapsed = now - start_;
  const double rate = elapsed > 0.0 ? static_cast<double>(done_) / elapsed : 0.0;
  std::string text;
  if (options_.total > 0) {
    text = fmt::format("{}/{}  {:3}%", done_, options_.total, done_ * 100 / options_.total);
  } else {
    text = fmt::format("{}", done_);
  }
  if (rate > 0.0) text += fmt::format("  {:.1f} {}/s", rate, options_.unit);
  if (finished_) {
    text += fmt::format("  in {}", format_duration(elapsed));
  } else if (options_.total > 0 && rate > 0.0) {
    const auto left = static_cast<double>(std::max<int64_t>(options_.total - done_, 0));
    text += fmt::format("  ETA {}", format_duration(left / rate));
  }
  return note_.empty() ? text : text + "  " + note_;
}

std::string Progress::bar(size_t columns) const {
  const int64_t done = std::clamp<int64_t>(done_, 0, options_.total);
  const auto filled = static_cast<size_t>(done * static_cast<int64_t>(columns) / options_.total);
  std::string text;
  for (size_t i = 0; i < columns; ++i) text += i < filled ? "█" : "░";
  return text;
}

}  // namespace fxq
