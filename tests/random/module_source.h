// Random TorchScript code for `script_module` (tests/tracer/script_source.h): arithmetic, views,
// writes in place, lists, dicts, branches and loops that data decides, state. Every value is a
// tensor of one of a few shapes, so that each program runs. The same seed gives the same text. No
// dropout: outside of training it returns its input itself, which LibTorch's own optimizer does not
// know.
#pragma once

#include <random>
#include <string>
#include <vector>

namespace fxq::testing {

class ModuleSource {
 public:
  explicit ModuleSource(unsigned seed) : random_(seed) {}

  // "def forward(self, x): ..."; x is f32[2,3,4,4].
  std::string forward();

 private:
  // The shapes that values have.
  enum class Shape { kMap, kColumn };  // [2,3,4,4]; [2,3,1,1], which broadcasts to it

  int number(int below) { return static_cast<int>(random_() % static_cast<unsigned>(below)); }
  bool chance(int percent) { return number(100) < percent; }
  std::string pick(const std::vector<std::string>& texts) {
    return texts[static_cast<size_t>(number(static_cast<int>(texts.size())))];
  }
  std::string map() { return pick(maps_); }  // a variable of kMap
  std::string any();                         // of either shape
  std::string fresh() { return "v" + std::to_string(next_++); }
  void line(const std::string& text);
  void block(int statements);

  void statement();
  void compute();
  void write_in_place();
  void use_list();
  void use_dict();
  void branch();
  void loop();
  void use_state();

  std::mt19937 random_;
  std::vector<std::string> maps_, columns_;
  std::string text_;
  int depth_ = 1;
  int next_ = 0;
  int lists_ = 1;
};

}  // namespace fxq::testing
