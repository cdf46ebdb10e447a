// torch.fx's naming rules: names are identifiers made from a target, unique by a "_N" suffix.
#pragma once

#include <string>
#include <string_view>

namespace fxq {

// "layer1.0.conv1" -> "layer1_0_conv1", "aten::add_.Tensor" -> "add_", "0" -> "_0", "" -> "value".
std::string identifier(std::string_view target);

// Splits "conv_3" into {"conv", 3}; no numeric suffix: {name, 0}.
std::pair<std::string, int> split_suffix(const std::string& name);

}  // namespace fxq
