// "layer1.0.conv" -> layer1_0_conv; taken names get _1, _2, ...: torch.fx's rules.
#include "fxq/graph/naming.h"

#include <cctype>
#include <cstdlib>

namespace fxq {
namespace {

// Functions are named after the op, without namespace and overload.
std::string_view base_name(std::string_view target) {
  const size_t colons = target.rfind("::");
  if (colons == std::string_view::npos) return target;
  target.remove_prefix(colons + 2);
  return target.substr(0, target.find('.'));
}

}  // namespace

std::string identifier(std::string_view target) {
  std::string name;
  for (char c : base_name(target)) {
    const bool fine = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
    name += fine ? c : '_';
  }
  if (name.empty()) return "value";
  if (std::isdigit(static_cast<unsigned char>(name[0])) != 0) name.insert(0, "_");
  return name;
}

std::pair<std::string, int> split_suffix(const std::string& name) {
  const size_t underscore = name.rfind('_');
  if (underscore == std::string::npos || underscore == 0) return {name, 0};
  const std::string digits = name.substr(underscore + 1);
  if (digits.empty() || digits.size() > 8 || digits[0] == '0') return {name, 0};
  for (char c : digits) {
    if (std::isdigit(static_cast<unsigned char>(c)) == 0) return {name, 0};
  }
  return {name.substr(0, underscore), std::atoi(digits.c_str())};
}

}  // namespace fxq
