// The get_default_* functions: keyword arguments over the page's defaults.
#include "fxq/quant/qconfig.h"

#include <fmt/format.h>

#include "fxq/base/status.h"
#include "fxq/quant/fake_quantize.h"

namespace fxq {
namespace {

constexpr double kPactStart = 6.0;  // the paper's

absl::Status check_dtype(std::string_view argument, std::string_view dtype) {
  if (dtype == "qint8" || dtype == "qint16") return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("{} is \"qint8\" or \"qint16\", not \"{}\"", argument, dtype));
}

absl::Status check_fake_quant(std::string_view argument, std::string_view name) {
  if (name == kFakeQuant || name == kLsq || name == kPact) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("{} is \"fake_quant\", \"lsq\" or \"pact\", not \"{}\"", argument, name));
}

absl::Status check_backend(std::string_view backend) {
  if (backend.empty() || backend == "cpu" || backend == "bpu") return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("backend is \"\", \"cpu\" or \"bpu\", not \"{}\"", backend));
}

absl::StatusOr<FakeQuantizeFactory> make_factory(std::string_view dtype, QKwargs standard,
                                                 const QKwargs& overrides) {
  standard.emplace_back("dtype", std::string(dtype));
  FXQ_ASSIGN_OR_RETURN(auto factory, FakeQuantizeFactory().with_args(standard));
  FXQ_ASSIGN_OR_RETURN(factory, factory.with_args(overrides));
  FXQ_RETURN_IF_ERROR(factory().status());
  return factory;
}

absl::StatusOr<FakeQuantizeFactory> weight_factory(std::string_view dtype, QKwargs standard,
                                                   const QKwargs& overrides) {
  standard.emplace_back("observer", "MovingAveragePerChannelMinMaxObserver");
  standard.emplace_back("averaging_constant", 1.0);
  FXQ_ASSIGN_OR_RETURN(auto factory, make_factory(dtype, std::move(standard), overrides));
  FXQ_RETURN_IF_ERROR(check_weight(factory));
  return factory;
}

bool same(const std::optional<FakeQuantizeFactory>& a,
          const std::optional<FakeQuantizeFactory>& b) {
  if (!a || !b) return a.has_value() == b.has_value();
  return a->options().to_kwargs() == b->options().to_kwargs();
}

}  // namespace

absl::Status check_weight(const FakeQuantizeFactory& weight) {
  const ObserverOptions& options = weight.options().observer_kwargs;
  if (options.dtype != DType::kU8 && options.range().min < 0) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format(
      "weights have a sign: dtype is qint8 or qint16 and quant_min negative, not {} from {} on",
      qdtype_name(options.dtype), options.range().min));
}

bool operator==(const QConfig& a, const QConfig& b) {
  return same(a.activation, b.activation) && same(a.weight, b.weight) && a.backend == b.backend;
}

absl::StatusOr<QConfig> get_default_calib_qconfig(std::string_view dtype,
                                                  const QKwargs& calib_qkwargs,
                                                  std::string_view backend) {
  FXQ_RETURN_IF_ERROR(check_dtype("dtype", dtype));
  FXQ_RETURN_IF_ERROR(check_backend(backend));
  QConfig qconfig;
  FXQ_ASSIGN_OR_RETURN(
      qconfig.activation,
      make_factory(dtype, {{"observer", "MseObserver"}, {"calibration", true}}, calib_qkwargs));
  FXQ_ASSIGN_OR_RETURN(qconfig.weight, weight_factory("qint8", {{"calibration", true}}, {}));
  qconfig.backend = std::string(backend);
  return qconfig;
}

absl::StatusOr<QConfig> get_default_qat_qconfig(const QatQConfigOptions& options) {
  FXQ_RETURN_IF_ERROR(check_dtype("dtype", options.dtype));
  FXQ_RETURN_IF_ERROR(check_fake_quant("activation_fake_quant", options.activation_fake_quant));
  FXQ_RETURN_IF_ERROR(check_dtype("weight_dtype", options.weight_dtype));
  FXQ_RETURN_IF_ERROR(check_fake_quant("weight_fake_quant", options.weight_fake_quant));
  FXQ_RETURN_IF_ERROR(check_backend(options.backend));
  QConfig qconfig;
  QKwargs activation{{"type", options.activation_fake_quant}};
  if (options.activation_fake_quant == kPact) activation.emplace_back("alpha", kPactStart);
  FXQ_ASSIGN_OR_RETURN(qconfig.activation, make_factory(options.dtype, std::move(activation),
                                                        options.activation_qkwargs));
  FXQ_ASSIGN_OR_RETURN(qconfig.weight,
                       weight_factory(options.weight_dtype, {{"type", options.weight_fake_quant}},
                                      options.weight_qkwargs));
  qconfig.backend = options.backend;
  return qconfig;
}

absl::StatusOr<QConfig> get_default_qat_out_qconfig(std::string_view dtype,
                                                    std::string_view weight_fake_quant,
                                                    const QKwargs& weight_qkwargs,
                                                    std::string_view backend) {
  QatQConfigOptions options;
  options.dtype = std::string(dtype);
  options.weight_fake_quant = std::string(weight_fake_quant);
  options.weight_qkwargs = weight_qkwargs;
  options.backend = std::string(backend);
  FXQ_ASSIGN_OR_RETURN(QConfig qconfig, get_default_qat_qconfig(options));
  qconfig.activation.reset();
  return qconfig;
}

absl::StatusOr<bool> allows_unsigned(const QConfig& qconfig, March march) {
  FXQ_RETURN_IF_ERROR(check_backend(qconfig.backend));
  if (qconfig.backend == "cpu" && has_bpu(march)) {
    return absl::InvalidArgumentError(fmt::format(
        "backend \"cpu\" uses quint8, which {} does not have; prepare for March::CPU or "
        "leave backend empty",
        march_name(march)));
  }
  const bool asks_unsigned =
      qconfig.activation && qconfig.activation->options().observer_kwargs.dtype == DType::kU8;
  if (asks_unsigned && has_bpu(march)) {
    return absl::InvalidArgumentError(fmt::format(
        "activations of quint8 are for March::CPU; {} has qint8 and qint16", march_name(march)));
  }
  return !has_bpu(march) && qconfig.backend != "bpu";
}

}  // namespace fxq
