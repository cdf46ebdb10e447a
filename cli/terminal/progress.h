// Progress: how far a long job is, on stderr. On a terminal one line that is redrawn,
//   [calib] ████████████░░░░ 216/256  84%  31.2 img/s  ETA 0:01
// elsewhere plain lines, one per 10 % or 5 seconds at most. Owned by the loop that it watches; not
// thread-safe; the last state is written when it is destroyed.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace fxq {

enum class ProgressMode { kAuto, kBar, kLines, kQuiet };

// Where text goes and what time it is. The defaults are stderr and a steady clock.
struct ProgressSink {
  std::function<void(std::string_view)> write;
  std::function<double()> seconds;
  size_t width = 0;  // columns; 0 asks the terminal
};

struct ProgressOptions {
  std::string label = "work";
  std::string unit = "it";
  int64_t total = 0;  // 0: unknown, no bar and no ETA
  ProgressMode mode = ProgressMode::kAuto;
  ProgressSink sink;
};

class Progress {
 public:
  explicit Progress(ProgressOptions options);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void advance(int64_t count = 1);
  // Shown behind the numbers from the next redraw on.
  void set_note(std::string note) { note_ = std::move(note); }
  // Writes the last state and ends the line; later calls do nothing.
  void finish();

 private:
  void show(double now);
  std::string numbers(double now) const;
  std::string bar(size_t columns) const;

  ProgressOptions options_;
  std::string note_;
  double start_ = 0.0;
  double last_shown_ = 0.0;
  int64_t last_tenth_ = 0;
  int64_t done_ = 0;
  bool finished_ = false;
};

// "0:07", "12:34", "1:02:03"
std::string format_duration(double seconds);

}  // namespace fxq
