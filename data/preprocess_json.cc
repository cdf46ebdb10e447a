// {"color": "RGB|BGR|GRAY", "resize": n | [h, w], "crop": n | [h, w], "scale": x,
//  "mean": x | [..], "std": x | [..], "layout": "NCHW"}  ->  Preprocess
#include <cmath>
#include <string>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "fxq/base/nearest.h"
#include "fxq/data/preprocess.h"
#include "nlohmann/json.hpp"

namespace fxq {
namespace {

using Json = nlohmann::json;

constexpr int kMaxSide = 8192;

class BlockReader {
 public:
  absl::StatusOr<Preprocess> read(const Json& block) {
    if (!block.is_object()) return error_of("it must be an object {...}");
    for (const auto& [key, value] : block.items()) read_key(key, value);
    check_channels("mean", result_.mean);
    check_channels("std", result_.std);
    if (problems_.empty()) return result_;
    return error_of(fmt::format("{}", fmt::join(problems_, "\n  ")));
  }

 private:
  static absl::Status error_of(const std::string& problems) {
    return absl::InvalidArgumentError(fmt::format("preprocess:\n  {}", problems));
  }

  void problem(std::string_view key, const Json& value, std::string_view needed) {
    std::string shown = value.dump(-1, ' ', false, Json::error_handler_t::replace);
    if (shown.size() > 40) shown = shown.substr(0, 37) + "...";
    problems_.push_back(fmt::format("{}: got {}, needed {}", key, shown, needed));
  }

  void read_key(const std::string& key, const Json& value) {
    static const std::vector<std::string> kKeys = {"color", "resize", "crop",  "scale",
                                                   "mean",  "std",    "layout"};
    if (key == "color") return read_color(value);
    if (key == "resize") return read_resize(value);
    if (key == "crop") return read_crop(value);
    if (key == "scale") return read_scale(value);
    if (key == "mean") return read_numbers(key, value, &result_.mean);
    if (key == "std") return read_numbers(key, value, &result_.std);
    if (key == "layout") {
      if (value != "NCHW") problem(key, value, "\"NCHW\", the only layout");
      return;
    }
    problems_.push_back(fmt::format("unknown key \"{}\"; {}", key, did_you_mean(key, kKeys)));
  }

  void read_color(const Json& value) {
    if (value == "RGB") {
      result_.color = ColorOrder::kRgb;
    } else if (value == "BGR") {
      result_.color = ColorOrder::kBgr;
    } else if (value == "GRAY") {
      result_.color = ColorOrder::kGray;
    } else {
      problem("color", value, "\"RGB\", \"BGR\" or \"GRAY\"");
    }
  }

  static bool is_side(const Json& value) {
    return value.is_number_integer() && value >= 1 && value <= kMaxSide;
  }

  static bool is_size(const Json& value) {
    return value.is_array() && value.size() == 2 && is_side(value[0]) && is_side(value[1]);
  }

  void read_resize(const Json& value) {
    if (is_side(value)) {
      result_.resize = ResizeTo{value.get<int>()};
    } else if (is_size(value)) {
      result_.resize = ResizeTo{std::nullopt, value[0].get<int>(), value[1].get<int>()};
    } else {
      problem("resize", value, "the shorter side or [height, width], 1 to 8192 pixels");
    }
  }

  void read_crop(const Json& value) {
    if (is_side(value)) {
      result_.crop = CropTo{value.get<int>(), value.get<int>()};
    } else if (is_size(value)) {
      result_.crop = CropTo{value[0].get<int>(), value[1].get<int>()};
    } else {
      problem("crop", value, "the side of a square or [height, width], 1 to 8192 pixels");
    }
  }

  void read_scale(const Json& value) {
    result_.scale = value.is_number() ? value.get<double>() : 0.0;
    if (static_cast<float>(result_.scale) == 0.0F || !std::isfinite(result_.scale)) {
      problem("scale", value, "a finite number other than 0, such as 0.00392157 (1/255)");
    }
  }

  void read_numbers(const std::string& key, const Json& value, std::vector<double>* out) {
    const Json list = value.is_array() ? value : Json::array({value});
    for (const Json& item : list) {
      const double number = item.is_number() ? item.get<double>() : NAN;
      const bool usable = key != "std" || static_cast<float>(number) != 0.0F;
      if (!std::isfinite(number) || !usable) {
        problem(key, item, key == "std" ? "a finite number other than 0" : "a finite number");
      }
      out->push_back(number);
    }
    if (list.empty()) problem(key, value, "a number or one per channel");
  }

  void check_channels(std::string_view key, const std::vector<double>& values) {
    const auto channels = static_cast<size_t>(result_.channels());
    if (values.size() <= 1 || values.size() == channels) return;
    problems_.push_back(fmt::format("{}: got {} numbers, needed 1 or {} (one per channel)", key,
                                    values.size(), channels));
  }

  Preprocess result_;
  std::vector<std::string> problems_;
};

}  // namespace

absl::StatusOr<Preprocess> parse_preprocess(const Json& block) { return BlockReader().read(block); }

absl::StatusOr<Preprocess> parse_preprocess_text(std::string_view text) {
  // Without exceptions nlohmann has no message, so the one it throws is caught.
  try {
    return parse_preprocess(Json::parse(text, nullptr, true, /*ignore_comments=*/true));
  } catch (const Json::parse_error& error) {
    return absl::InvalidArgumentError(fmt::format("preprocess: not JSON: {}", error.what()));
  }
}

}  // namespace fxq
