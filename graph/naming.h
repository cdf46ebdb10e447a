// torch.fx's naming rules: names are identifiers made from a target, unique by a "_N" suffix.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

namespace fxq {

// "layer1.0.conv1" -> "layer1_0_conv1", "aten::add_.Tensor" -> "add_", "0" -> "_0", "" -> "value".
std::string identifier(std::string_view target);

// Splits "conv_3" into {"conv", 3}; no numeric suffix: {name, 0}.
std::pair<std::string, int> split_suffix(const std::string& name);

// How operators name the argument that says whether they train.
inline constexpr std::array<const char*, 2> kModeArguments = {"training", "train"};
inline bool is_mode_argument(std::string_view name) {
  return std::find(kModeArguments.begin(), kModeArguments.end(), name) != kModeArguments.end();
}

// A module's tensors that are parameters unless its text says otherwise; all else is a buffer.
inline bool trains_by_name(std::string_view name) { return name == "weight" || name == "bias"; }

}  // namespace fxq
