// Arguments of FakeQuantize by the API page's names, and the factory that qconfigs hold. Plain
// values without LibTorch, so that a qconfig can be written, read and passed anywhere.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fxq/graph/argument.h"
#include "fxq/quant/observer_options.h"

namespace fxq {

class FakeQuantize;

// Types of fake quantizers: the scale follows an observer, is learned, or is a learned clip's.
inline constexpr const char* kFakeQuant = "fake_quant";
inline constexpr const char* kLsq = "lsq";
inline constexpr const char* kPact = "pact";

// Keyword arguments by the API page's names, as in Python's dicts: {"observer", "mse"}.
using QKwargs = std::vector<std::pair<std::string, Argument>>;

// Arguments of FakeQuantize. What the page calls **observer_kwargs is `observer_kwargs`; quant_min,
// quant_max and channel_len stand there too, because the observer needs them.
struct FakeQuantizeOptions {
  std::string type = kFakeQuant;  // kLsq, kPact: learned_fake_quantize.h
  std::string observer = "MovingAverageMinMaxObserver";
  std::optional<bool> saturate;  // false: gradients pass outside of [quant_min, quant_max] too
  bool in_place = false;         // writes into its input when no gradient is needed
  bool calibration = false;      // CalibFakeQuantize: starts with fake quantization off
  std::optional<double> alpha;   // pact: where the clip starts
  ObserverOptions observer_kwargs;

  // Overrides what `kwargs` names; InvalidArgument lists every unknown name and bad value.
  absl::Status apply(const QKwargs& kwargs);
  // What differs from the defaults, for the text form; apply() reads it back.
  QKwargs to_kwargs() const;
  // InvalidArgument: an unknown type, or arguments that this type has not.
  absl::Status check_type() const;
  std::string class_name() const;  // "CalibFakeQuantize"
};

// Makes FakeQuantize modules that all have the same arguments: the page's with_args.
class FakeQuantizeFactory {
 public:
  explicit FakeQuantizeFactory(FakeQuantizeOptions options = {}) : options_(std::move(options)) {}
  // A factory with some arguments changed.
  absl::StatusOr<FakeQuantizeFactory> with_args(const QKwargs& kwargs) const;
  absl::StatusOr<std::shared_ptr<FakeQuantize>> operator()() const;
  const FakeQuantizeOptions& options() const { return options_; }

 private:
  FakeQuantizeOptions options_;
};

}  // namespace fxq
