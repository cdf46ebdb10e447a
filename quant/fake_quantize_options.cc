// One table of keyword arguments: name, how to read it, how to write it.
#include "fxq/quant/fake_quantize_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "fxq/base/nearest.h"
#include "fxq/base/status.h"

namespace fxq {
namespace {

bool read(const Argument& value, double& field) {
  if (const auto* real = value.get_if<double>())
    field = *real;
  else if (const auto* integer = value.get_if<int64_t>())
    field = static_cast<double>(*integer);
  else
    return false;
  return true;
}

bool read(const Argument& value, int& field) {
  const auto* integer = value.get_if<int64_t>();
  if (!integer || *integer < INT32_MIN || *integer > INT32_MAX) return false;
  field = static_cast<int>(*integer);
  return true;
}

bool read(const Argument& value, bool& field) {
  const auto* flag = value.get_if<bool>();
  if (flag) field = *flag;
  return flag != nullptr;
}

bool read(const Argument& value, std::string& field) {
  const auto* text = value.get_if<std::string>();
  if (text) field = *text;
  return text != nullptr;
}

bool read(const Argument& value, DType& field) {
  const auto* text = value.get_if<std::string>();
  const auto dtype = text ? qdtype_from_name(*text) : std::nullopt;
  if (dtype) field = *dtype;
  return dtype.has_value();
}

bool read(const Argument& value, QScheme& field) {
  const auto* text = value.get_if<std::string>();
  const auto qscheme = text ? qscheme_from_name(*text) : std::nullopt;
  if (qscheme) field = *qscheme;
  return qscheme.has_value();
}

// {"device": "cpu", "dtype": f32}
bool read(const Argument& value, FactoryKwargs& field) {
  const auto* dict = value.get_if<DictArg>();
  if (!dict) return false;
  for (const auto& [key, item] : dict->items) {
    if (key == Argument("device") && item.is<std::string>())
      field.device = item.get<std::string>();
    else if (key == Argument("dtype") && item.is<DType>())
      field.dtype = item.get<DType>();
    else if (key == Argument("dtype") && item == Argument("float32"))
      field.dtype = DType::kF32;
    else if (key == Argument("dtype") && item == Argument("float64"))
      field.dtype = DType::kF64;
    else
      return false;
  }
  return true;
}

template <typename T>
bool read(const Argument& value, std::optional<T>& field) {
  T inner{};
  if (value.is_none()) {
    field.reset();
    return true;
  }
  if (!read(value, inner)) return false;
  field = inner;
  return true;
}

Argument write(double value) { return value; }
Argument write(int value) { return value; }
Argument write(bool value) { return value; }
Argument write(const std::string& value) { return value; }
Argument write(QScheme value) { return std::string(qscheme_name(value)); }
Argument write(const FactoryKwargs& value) {
  return DictArg{{{"device", value.device}, {"dtype", value.dtype}}};
}
Argument write(DType value) { return std::string(qdtype_name(value)); }
template <typename T>
Argument write(const std::optional<T>& value) {
  return value ? write(*value) : Argument();
}

struct Keyword {
  const char* name;
  const char* wants;
  bool (*read_from)(const Argument&, FakeQuantizeOptions&);
  Argument (*write_from)(const FakeQuantizeOptions&);
};

#define FXQ_KEYWORD(name, wants, field)                                                      \
  Keyword {                                                                                  \
    name, wants, [](const Argument& v, FakeQuantizeOptions& o) { return read(v, o.field); }, \
        [](const FakeQuantizeOptions& o) { return write(o.field); }                          \
  }

const Keyword kKeywords[] = {
    FXQ_KEYWORD("type", "\"fake_quant\", \"lsq\" or \"pact\"", type),
    FXQ_KEYWORD("observer", "a name", observer),
    FXQ_KEYWORD("dtype", "\"qint8\", \"quint8\" or \"qint16\"", observer_kwargs.dtype),
    FXQ_KEYWORD("quant_min", "an int", observer_kwargs.quant_min),
    FXQ_KEYWORD("quant_max", "an int", observer_kwargs.quant_max),
    FXQ_KEYWORD("saturate", "a bool", saturate),
    FXQ_KEYWORD("in_place", "a bool", in_place),
    FXQ_KEYWORD("calibration", "a bool", calibration),
    FXQ_KEYWORD("alpha", "a number", alpha),
    FXQ_KEYWORD("channel_len", "an int", observer_kwargs.channel_len),
    FXQ_KEYWORD("averaging_constant", "a number", observer_kwargs.averaging_constant),
    FXQ_KEYWORD("ch_axis", "an int", observer_kwargs.ch_axis),
    FXQ_KEYWORD("percentile", "a number", observer_kwargs.percentile),
    FXQ_KEYWORD("bins", "an int", observer_kwargs.bins),
    FXQ_KEYWORD("scale", "a number", observer_kwargs.scale),
    FXQ_KEYWORD("xmin", "a number", observer_kwargs.xmin),
    FXQ_KEYWORD("xmax", "a number", observer_kwargs.xmax),
    FXQ_KEYWORD("std_scale", "a number", observer_kwargs.std_scale),
    FXQ_KEYWORD("reduce_range", "a bool", observer_kwargs.reduce_range),
    FXQ_KEYWORD("is_sync_quantize", "a bool", observer_kwargs.is_sync_quantize),
    FXQ_KEYWORD("qscheme", "\"per_tensor_symmetric\" or \"per_channel_symmetric\"",
                observer_kwargs.qscheme),
    FXQ_KEYWORD("factory_kwargs",
                "a dict of device (a name) and dtype (\"float32\" or \"float64\")",
                observer_kwargs.factory_kwargs),
};

#undef FXQ_KEYWORD

}  // namespace

absl::Status FakeQuantizeOptions::apply(const QKwargs& kwargs) {
  std::vector<std::string> known;
  for (const Keyword& keyword : kKeywords) known.emplace_back(keyword.name);
  std::vector<std::string> problems;
  for (const auto& [name, value] : kwargs) {
    const Keyword* match = nullptr;
    for (const Keyword& keyword : kKeywords) match = name == keyword.name ? &keyword : match;
    if (!match) {
      problems.push_back(
          fmt::format("there is no argument '{}'; {}", name, did_you_mean(name, known)));
    } else if (!match->read_from(value, *this)) {
      problems.push_back(
          fmt::format("'{}' wants {} and got {}", name, match->wants, value.to_string()));
    }
  }
  if (problems.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format("FakeQuantize: {}", fmt::join(problems, "; ")));
}

QKwargs FakeQuantizeOptions::to_kwargs() const {
  const FakeQuantizeOptions standard;
  QKwargs kwargs;
  for (const Keyword& keyword : kKeywords) {
    Argument value = keyword.write_from(*this);
    if (value != keyword.write_from(standard)) kwargs.emplace_back(keyword.name, std::move(value));
  }
  return kwargs;
}

absl::Status FakeQuantizeOptions::check_type() const {
  if (type != kFakeQuant && type != kLsq && type != kPact) {
    return absl::InvalidArgumentError(
        fmt::format("FakeQuantize: type is \"fake_quant\", \"lsq\" or \"pact\", not \"{}\"", type));
  }
  std::vector<std::string> problems;
  if (type != kFakeQuant && saturate == false) {
    problems.push_back("saturate=false is for fake_quant only: what is outside trains the scale");
  }
  if (type != kFakeQuant && in_place) problems.emplace_back("in_place is for fake_quant only");
  if (type != kPact && alpha) problems.emplace_back("alpha is for pact only");
  if (alpha && !(*alpha > 0)) problems.push_back(fmt::format("alpha {} is not positive", *alpha));
  if (problems.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("FakeQuantize of type {}: {}", type, fmt::join(problems, "; ")));
}

std::string FakeQuantizeOptions::class_name() const {
  if (calibration) return "CalibFakeQuantize";
  if (type == kLsq) return "LsqFakeQuantize";
  return type == kPact ? "PactFakeQuantize" : "FakeQuantize";
}

absl::StatusOr<FakeQuantizeFactory> FakeQuantizeFactory::with_args(const QKwargs& kwargs) const {
  FakeQuantizeOptions options = options_;
  FXQ_RETURN_IF_ERROR(options.apply(kwargs));
  return FakeQuantizeFactory(std::move(options));
}

}  // namespace fxq
