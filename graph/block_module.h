// BlockModule: TorchScript code opened into graphs: straight code, an If or a Loop, a GraphModule
// per branch or body, for whoever must see the ops inside (an exporter). Owned by the GraphModule
// that calls it; runs like any leaf. Its bodies hold what their code names; values captured from
// outside are inputs of the call, and one placeholder of each body.
#pragma once

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "fxq/graph/graph_module.h"
#include "fxq/graph/leaf_module.h"

namespace fxq {

// kCode: (inputs...) -> body's result.
// kIf:   (condition, captured...) -> results. Bodies: what is done if it holds, and if not.
// kLoop: (most trips, condition, carried..., captured...) -> carried. The body:
//        (trip, carried..., captured...) -> (condition, carried...).
// Results of kIf and kLoop, and what their bodies return, are tuples.
enum class BlockKind { kCode, kIf, kLoop };

// Of a loop without a limit.
inline constexpr int64_t kEndlessTrips = std::numeric_limits<int64_t>::max();

// How a block runs, where not as its condition says: to see what it may also do.
struct BlockCourse {
  bool other_branch = false;
  int64_t least_trips = 0, most_trips = kEndlessTrips;
};

class BlockModule : public LeafModule {
 public:
  // `results`: as the code declares them, of the tuple that kIf and kLoop give; of kCode its one.
  BlockModule(BlockKind kind, std::vector<GraphModule> bodies, std::vector<Type> results);

  BlockKind block_kind() const { return kind_; }
  std::vector<GraphModule>& bodies() { return bodies_; }
  const std::vector<GraphModule>& bodies() const { return bodies_; }
  const std::vector<Type>& results() const { return results_; }

  using RunBody = std::function<c10::IValue(size_t body, std::vector<c10::IValue> inputs)>;
  c10::IValue run(std::vector<c10::IValue> inputs, const RunBody& run_body,
                  const BlockCourse& course = {}) const;

  c10::IValue call(const std::string& method, std::vector<c10::IValue> inputs) override;
  std::string kind() const override { return "block"; }
  NamedTensors tensors() const override { return {}; }  // its bodies' own
  NamedAttributes attributes() const override { return {}; }
  std::shared_ptr<LeafModule> clone_leaf() const override;
  void set_tensor(const std::string& name, at::Tensor tensor) override;
  void train(bool on = true) override;

 private:
  c10::IValue run_loop(std::vector<c10::IValue> inputs, const RunBody& run_body,
                       const BlockCourse& course) const;

  BlockKind kind_;
  std::vector<GraphModule> bodies_;
  std::vector<Type> results_;
};

}  // namespace fxq
