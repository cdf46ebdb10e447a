// ObservedGraphModule: a float graph with FakeQuantize modules on its values and weights, ready for
// calibration or training. It owns its graph; forward, parameters, train and save are those of the
// GraphModule inside. Movable, not copyable.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"
#include "fxq/quant/march.h"
#include "fxq/quant/quant_report.h"

namespace fxq {

struct LoadOptions;  // graph/artifact.h

class FakeQuantize;

// Observe only; observe and fake-quantize; fake-quantize only.
enum class FakeQuantState : uint8_t { CALIBRATION, QAT, VALIDATION };

class ObservedGraphModule {
 public:
  ObservedGraphModule(GraphModule gm, QuantReport report)
      : report(std::move(report)), gm_(std::move(gm)) {}
  // A graph that was saved: InvalidArgument if it is no prepared one.
  static absl::StatusOr<ObservedGraphModule> from_graph_module(GraphModule gm);

  GraphModule& graph_module() { return gm_; }
  const GraphModule& graph_module() const { return gm_; }
  March march() const;

  // Runs, observes, fake-quantizes, as its state says. Gradients are recorded in train() mode only.
  absl::StatusOr<c10::IValue> forward(std::vector<c10::IValue> inputs) const;

  // Of values and weights, by path.
  std::vector<std::pair<std::string, FakeQuantize*>> fake_quants() const;

  QuantReport report;

 private:
  GraphModule gm_;
};

// Sets all fake quants at once. FailedPrecondition if train() or eval() contradicts it: calibration
// and validation want eval(), QAT wants train(). Scales that were set by hand stay.
absl::Status set_fake_quantize(ObservedGraphModule& model, FakeQuantState state);

// Of batch norms that train on (WithBN and free ones): their statistics stay as they are, also in
// train() mode; they are saved with the model. False: they move again.
void freeze_bn_stats(ObservedGraphModule& model, bool on = true);
// All observers on or off: off, the scales stay as they are. Scales set by hand stay.
void enable_observers(ObservedGraphModule& model, bool on);

absl::StatusOr<ObservedGraphModule> load_observed(const std::string& path);
absl::StatusOr<ObservedGraphModule> load_observed(const std::string& path,
                                                  const LoadOptions& options);
absl::Status save(const ObservedGraphModule& model, const std::string& path);

}  // namespace fxq
