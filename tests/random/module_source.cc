// Statements that only use variables of outer blocks and assign to those that exist, as
// TorchScript's scopes want.
#include "module_source.h"

#include "fmt/format.h"

namespace fxq::testing {

std::string ModuleSource::any() { return !columns_.empty() && chance(25) ? pick(columns_) : map(); }

void ModuleSource::line(const std::string& text) {
  text_ += std::string(static_cast<size_t>(4 * depth_), ' ') + text + "\n";
}

void ModuleSource::block(int statements) {
  const std::vector<std::string> maps = maps_, columns = columns_;
  ++depth_;
  for (int i = 0; i < statements; ++i) statement();
  --depth_;
  maps_ = maps;  // what was made inside is not seen outside
  columns_ = columns;
}

void ModuleSource::compute() {
  static const std::vector<std::string> unary = {"torch.relu({0})",
                                                 "torch.sigmoid({0})",
                                                 "torch.tanh({0})",
                                                 "torch.abs({0})",
                                                 "-{0}",
                                                 "{0} * 2.0",
                                                 "{0} + 1.5",
                                                 "torch.clamp({0}, -1, 1)",
                                                 "torch.hardtanh({0}, -2.0, 2.0)",
                                                 "{0} * torch.sigmoid({0})",
                                                 "torch.neg({0})",
                                                 "{0}.detach()",
                                                 "{0}.contiguous()",
                                                 "{0}.clone()",
                                                 "torch.add({0}, {0}, alpha=2)"};
  static const std::vector<std::string> maps_only = {
      "{0}.transpose(2, 3)",
      "{0}.view(2, 3, 16).view(2, 3, 4, 4)",
      "{0}.flatten(2).reshape(2, 3, 4, 4)",
      "torch.cat([{0}[:, 1:], {0}[:, :1]], 1)",
      "torch.cat(torch.chunk({0}, 3, 1), 1)",
      "torch.stack([{0}, {0}]).sum(0)",
      "torch.max_pool2d({0}, [3, 3], [1, 1], [1, 1])",
      "torch.avg_pool2d({0}, [3, 3], [1, 1], [1, 1])",
      "torch.conv2d({0}, self.w, self.b, padding=1)[:, :3]",
      "torch.conv2d({0}, self.w[:3], None, padding=1)",
      "{0}.permute(0, 1, 3, 2)",
      "{0}.unsqueeze(1).squeeze(1)"};
  const std::string target = fresh();
  const int kind = number(10);
  if (kind < 4) {
    const bool column = !columns_.empty() && chance(20);
    line(target + " = " + fmt::format(fmt::runtime(pick(unary)), column ? pick(columns_) : map()));
    (column ? columns_ : maps_).push_back(target);
  } else if (kind < 6) {
    const std::string formats = pick(maps_only);
    std::string source = map();
    if (formats.find(".view(") != std::string::npos) source += ".contiguous()";
    line(target + " = " + fmt::format(fmt::runtime(formats), source));
    maps_.push_back(target);
  } else if (kind < 7) {
    line(target + " = " + map() + pick({".mean([2, 3], keepdim=True)", "[:, :, :1, :1]"}));
    columns_.push_back(target);
  } else {
    const std::string op = pick({"{0} + {1}", "{0} * {1}", "{0} - {1}", "torch.max({0}, {1})",
                                 "torch.add({0}, {1}, alpha=0.5)"});
    line(target + " = " + fmt::format(fmt::runtime(op), map(), any()));
    maps_.push_back(target);
  }
}

void ModuleSource::write_in_place() {
  const std::string target = map();
  const std::string write =
      pick({"{0}.add_({1})", "{0}.mul_(0.5)", "{0}.relu_()", "{0}[0] = 1.0", "{0}[:, 1:].add_(1.0)",
            "{0}[:, 0] = {1}[:, 0]", "{0}.view(2, -1).mul_(2.0)", "{0} += {1}"});
  const bool viewed = write.find("view") != std::string::npos;
  if (viewed) line(target + " = " + target + ".contiguous()");
  line(fmt::format(fmt::runtime(write), target, map()));
}

void ModuleSource::use_list() {
  const std::string list = "l" + std::to_string(number(lists_));
  switch (number(6)) {
    case 0:
      return line(list + ".append(" + map() + ")");
    case 1:
      return line(fmt::format("{}[{}] = {}", list, pick({"0", "-1", "int(x.sum() > 0)"}), map()));
    case 2:
      return line(
          fmt::format("{}.insert({}, {})", list, pick({"0", "1", "int(x.sum() > 1)"}), map()));
    case 3: {
      line("if len(" + list + ") > 2:");
      ++depth_;
      line(list + ".pop(" + pick({"", "0"}) + ")");
      --depth_;
      return;
    }
    default: {
      const std::string target = fresh();
      line(fmt::format("{} = {}[{}]{}", target, list, pick({"0", "-1", "len(" + list + ") - 1"}),
                       pick({"", " * 1.0"})));
      maps_.push_back(target);
    }
  }
}

void ModuleSource::use_dict() {
  const std::string key = pick({"\"a\"", "\"b\""});
  if (chance(50)) return line("d[" + key + "] = " + map());
  const std::string target = fresh();
  line(target + " = d[" + key + "]");
  maps_.push_back(target);
}

void ModuleSource::branch() {
  line("if " +
       pick({"bool(" + map() + ".sum() > 0)", "x.size(0) == 2", "len(l0) > 2", "self.training",
             "\"a\" in d"}) +
       ":");
  const std::string target = map();
  block(1 + number(3));
  ++depth_;
  line(target + " = " + target + " + 1.0");
  --depth_;
  if (chance(50)) return;
  line("else:");
  block(1 + number(2));
}

void ModuleSource::loop() {
  const std::string counter = "i" + std::to_string(next_++);
  line("for " + counter + " in range(" +
       pick({"2", "len(l0)", "int(x.sum() > 0) + 1", "x.size(1)"}) + "):");
  const std::string target = map();
  ++depth_;
  line(fmt::format("{0} = {0} * 0.5 + {1}", target, counter));
  --depth_;
  block(1 + number(2));
}

void ModuleSource::use_state() {
  if (chance(50)) return line("self.calls += 1");
  const std::string target = fresh();
  line(target + " = " + map() + " + self.calls");
  maps_.push_back(target);
}

void ModuleSource::statement() {
  const int kind = number(100);
  if (kind < 50) return compute();
  if (kind < 65) return write_in_place();
  if (kind < 77) return use_list();
  if (kind < 83) return use_dict();
  if (kind < 86 && depth_ == 1) return use_state();
  if (kind < 94 && depth_ < 4) return branch();
  if (depth_ < 3) return loop();
  compute();
}

std::string ModuleSource::forward() {
  maps_ = {"x", "y"};
  line("y = x * 0.75");
  line("l0 = [x, y]");
  line("d = {\"a\": x, \"b\": y}");
  const int statements = 3 + number(10);
  for (int i = 0; i < statements; ++i) statement();
  line("return " + map() + ", " + map() + ", torch.cat(l0), d");
  return "def forward(self, x):\n" + text_;
}

}  // namespace fxq::testing
